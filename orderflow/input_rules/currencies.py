"""Currency codes and their decimals: ISO 4217, list one as published on 2026-01-01 (amendment 180).

Codes without a minor unit are left out: precious metals, bond market units, SDR, XTS for tests and XXX for no currency.
"""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

_BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR "
    "ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS: dict[str, int] = {
    code: decimals for decimals, codes in _BY_DECIMALS.items() for code in codes.split()
}
CODES = tuple(sorted(DECIMALS))

# Codes that users often write and that are not on the list, with the code that is probably meant.
_MEANT = {
    "RMB": "CNY", "CNH": "CNY", "NTD": "TWD", "UKP": "GBP", "STG": "GBP", "GBX": "GBP", "EUO": "EUR", "SFR": "CHF",
    "FRS": "CHF", "NIS": "ILS", "YEN": "JPY", "DOL": "USD", "USS": "USD", "AUS": "AUD", "RUR": "RUB", "TRL": "TRY",
    "HRK": "EUR", "BGN": "EUR", "DEM": "EUR", "ATS": "EUR", "FRF": "EUR", "ITL": "EUR", "NLG": "EUR", "BYR": "BYN",
    "ANG": "XCG", "SLL": "SLE", "ZWL": "ZWG", "VEF": "VES", "CUC": "CUP",
}  # fmt: skip


def require_currency(code: str) -> None:
    """Raise `ValidationError` unless the code is one of `CODES`."""
    if code in DECIMALS:
        return
    meant = _MEANT.get(code.upper()) or (code.upper() if code.upper() in DECIMALS else "")
    if meant:
        raise ValidationError(
            _("“%(code)s” is not a currency of ISO 4217. Write %(meant)s."),
            code="currency_misspelt",
            params={"code": code[:30], "meant": meant},
        )
    raise ValidationError(
        _("“%(code)s” is not a currency of ISO 4217. Write a code like EUR."),
        code="currency",
        params={"code": code[:30]},
    )
