"""Validation: what pydantic refused, as where and what kind. Its own full text repeats the input; this never does."""

from collections.abc import Mapping
from typing import Any

_CHINESE = {
    "missing": "缺少这一项",
    "extra_forbidden": "没有这一项",
    "json_invalid": "不是有效的 JSON",
    "literal_error": "只能是 {expected}",
    "string_type": "应为文字",
    "string_too_short": "至少要有 {min_length} 个字",
    "string_too_long": "最多 {max_length} 个字",
    "unseen": "应为看得见的名字，不能有空字符（NUL）",
    "list_type": "应为列表",
    "too_long": "最多 {max_length} 项",
    "model_attributes_type": "应为 JSON 对象",
    "model_type": "应为 JSON 对象",
    "dict_type": "应为 JSON 对象",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_parsing_size": "数字太大",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "finite_number": "应为有限的数字",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不能大于 {le}",
}
_UNKNOWN = "内容不正确"
_BODY = {"en": "the body", "zh": "提交的内容"}


def fault(error: Mapping[str, Any], language: str) -> str:
    """One of pydantic's `errors()`; `language` is "zh" or anything else for English."""
    where = place(error) or _BODY["zh" if language == "zh" else "en"]
    if language == "zh":
        return f"{where}：{kind_in_chinese(error)}"
    return f"{where}: {error['msg']}"


def place(error: Mapping[str, Any]) -> str:
    """The names down to the field; "" for the body itself. Where JSON is broken, pydantic gives a number of bytes."""
    names = [] if error["type"] == "json_invalid" else [part for part in error["loc"] if part != "body"]
    return ".".join(map(str, names))


def kind_in_chinese(error: Mapping[str, Any]) -> str:
    facts = {name: str(value).replace(" or ", " 或 ") for name, value in error.get("ctx", {}).items()}
    return _CHINESE.get(error["type"], _UNKNOWN).format(**facts)
