<#
Take order files into an ERP, and answer each. Windows PowerShell 5.1 or PowerShell 7, nothing to install.

    read_orders.ps1 EXPORT_FOLDER ACK_FOLDER PROGRAM [ARGUMENT ...]

PROGRAM is called with the path of one order file behind its arguments. It prints the ERP's order number and ends with
exit code 0; or it prints why the order is refused and ends with 1; any other code means "not now", and the order is
tried again by the next run. Where it has seen the file's draft_order_id before, it prints the same number as then: a
machine that dies between the import and the answer makes us ask again.

Exit code 0: every order has its answer; 1: some wait for the next run. Run it every minute; a second one ends at once.
#>
param(
    [Parameter(Mandatory = $true)][string] $ExportFolder,
    [Parameter(Mandatory = $true)][string] $AckFolder,
    [Parameter(Mandatory = $true)][string] $Program,
    [Parameter(ValueFromRemainingArguments = $true)][string[]] $Arguments = @()
)
$ErrorActionPreference = 'Stop'
# .NET has a working directory of its own, so it gets whole paths.
$ExportFolder = (Resolve-Path -LiteralPath $ExportFolder).ProviderPath
$AckFolder = (Resolve-Path -LiteralPath $AckFolder).ProviderPath
$taken = Join-Path $ExportFolder 'taken'
$done = Join-Path $ExportFolder 'done'
foreach ($folder in $taken, $done) { [void][IO.Directory]::CreateDirectory($folder) }
[Console]::OutputEncoding = New-Object Text.UTF8Encoding $false

function Get-Orders([string] $folder) {
    # Only .json files: what ends in .tmp is still being written, and test_connection_ files are no orders.
    # -Filter alone also finds names that only begin like that (a rule of old Windows), so the end is asked for again.
    @(Get-ChildItem -LiteralPath $folder -File -Filter 'sales_order_*.json' |
            Where-Object { $_.Name.EndsWith('.json') } | Sort-Object Name)
}

function Move-Over([string] $from, [string] $to) {
    # File.Move of Windows PowerShell can't replace.
    if ([IO.File]::Exists($to)) { [IO.File]::Delete($to) }
    [IO.File]::Move($from, $to)
}

function Write-Answer([string] $path, $answer) {
    # Whole under another name, on the disk, then renamed: nobody reads half an answer. UTF-8 without a mark.
    $bytes = (New-Object Text.UTF8Encoding $false).GetBytes((ConvertTo-Json $answer -Compress))
    $file = [IO.File]::Create("$path.tmp")
    try { $file.Write($bytes, 0, $bytes.Length); $file.Flush($true) } finally { $file.Dispose() }
    Move-Over "$path.tmp" $path
}

try { $lock = [IO.File]::Open((Join-Path $taken '.lock'), 'OpenOrCreate', 'ReadWrite', 'None') }
catch [IO.IOException] { exit 0 }
try {
    foreach ($file in Get-Orders $ExportFolder) {
        # Out of the way first: whatever lies in taken/ is ours, and a later run goes on with it.
        Move-Over $file.FullName (Join-Path $taken $file.Name)
    }
    $waiting = $false
    foreach ($file in Get-Orders $taken) {
        $said = (& $Program @Arguments $file.FullName | Out-String).Trim()
        $code = $LASTEXITCODE
        $now = [DateTime]::UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", [Globalization.CultureInfo]::InvariantCulture)
        if ($code -eq 0 -and $said -and $said.Length -le 255) {
            $name = "ack_$($file.Name)"
            $answer = [ordered]@{ status = 'ACKED'; erp_order_id = $said; processed_at = $now }
        } elseif ($code -eq 1 -and $said) {
            $name = "error_$($file.Name)"
            $message = $said.Substring(0, [Math]::Min(2000, $said.Length))
            $answer = [ordered]@{
                status = 'FAILED'; error_code = 'ERP_VALIDATION'; message = $message; processed_at = $now
            }
        } else {
            [Console]::Error.WriteLine("$($file.FullName) waits: exit code $code, '$said'")
            $waiting = $true
            continue
        }
        Write-Answer (Join-Path $AckFolder $name) $answer
        Move-Over $file.FullName (Join-Path $done $file.Name)
    }
} finally { $lock.Dispose() }
if ($waiting) { exit 1 }
exit 0
