"""Secrets that a store holds, and what stands in their place: by the name of a param or tag, and by their form."""

from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules, is_secret_key, is_secret_query_key
from qualia_lab.masking.tables import Masker, mask_tables, masked_keys
from qualia_lab.masking.text import masked

__all__ = [
    "DEFAULT_RULES",
    "MaskRules",
    "Masker",
    "is_secret_key",
    "is_secret_query_key",
    "mask_tables",
    "masked",
    "masked_keys",
]
