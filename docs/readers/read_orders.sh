#!/bin/bash
# Take order files into an ERP, and answer each. Bash, coreutils and util-linux; no JSON tool is needed.
#
#   read_orders.sh EXPORT_FOLDER ACK_FOLDER PROGRAM [ARGUMENT ...]
#
# PROGRAM is called with the path of one order file behind its arguments. It prints the ERP's order number and ends with
# exit code 0; or it prints why the order is refused and ends with 1; any other code means "not now", and the order is
# tried again by the next run. Where it has seen the file's draft_order_id before, it prints the same number as then: a
# machine that dies between the import and the answer makes us ask again.
#
# Exit code 0: every order has its answer; 1: some wait for the next run. Run it every minute; a second one ends at once.
set -u
[ $# -ge 3 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
export_folder=$1 ack_folder=$2
shift 2
taken=$export_folder/taken done=$export_folder/done
mkdir -p "$taken" "$done" || exit 1
shopt -s nullglob

# A lock that the system takes back when we die.
exec 9>"$taken/.lock"
flock -n 9 || exit 0

json_text() { # the JSON text for what stands on standard input, at most $1 bytes of it, without control characters
  tr '\000-\037\177' ' ' | head -c "$1" | iconv -c -f UTF-8 -t UTF-8 | sed -e 's/^ *//' -e 's/ *$//' -e 's/[\\"]/\\&/g'
}

write() { # whole under another name, on the disk, then renamed: nobody reads half an answer
  printf '%s' "$2" >"$1.tmp" && sync "$1.tmp" && mv -f "$1.tmp" "$1"
}

# Out of the way first: whatever lies in taken/ is ours, and a later run goes on with it. What ends in .tmp is still
# being written and does not match.
for file in "$export_folder"/sales_order_*.json; do
  mv -f "$file" "$taken/" || exit 1
done

waiting=0
for file in "$taken"/sales_order_*.json; do
  name=${file##*/}
  said=$("$@" "$file" 9>&-) # the lock is not the program's: it may leave something running
  code=$?
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  if [ "$code" -eq 0 ] && [ -n "$said" ] && [ ${#said} -le 255 ]; then
    number=$(printf '%s' "$said" | json_text 1000)
    answer="ack_$name"
    body="{\"status\": \"ACKED\", \"erp_order_id\": \"$number\", \"processed_at\": \"$now\"}"
  elif [ "$code" -eq 1 ] && [ -n "$said" ]; then
    reason=$(printf '%s' "$said" | json_text 2000)
    answer="error_$name"
    body="{\"status\": \"FAILED\", \"error_code\": \"ERP_VALIDATION\", \"message\": \"$reason\", \"processed_at\": \"$now\"}"
  else
    echo "$file waits: exit code $code, '$said'" >&2
    waiting=1
    continue
  fi
  write "$ack_folder/$answer" "$body" && mv -f "$file" "$done/" || waiting=1
done
exit "$waiting"
