"""Elders, and what they told."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from modelserver.schemas.body import Body, Name


class NewElder(Body):
    elder_id: str
    name: Name
    language: Literal["zh", "en"] = "zh"
    base_model: str = ""  #: "" for the one that fits the language
    engine: str = ""  #: "" for the configured one


class ChosenEngine(Body):
    engine: str  #: "llama_cpp", "ollama" or "vllm", where it is configured; "" for the configured one


class NewConsent(Body):
    by: Name  #: who gives it


class ConsentOut(BaseModel):
    by: str
    at: datetime


class ElderOut(BaseModel):
    elder_id: str
    name: str
    language: str
    base_model: str
    engine: str
    answers: int
    consent: ConsentOut | None  #: to a teacher model outside this machine
    job_id: str | None  #: of the training that is under way


class EldersOut(BaseModel):
    elders: list[ElderOut]


class NewAnswer(Body):
    question: str = ""
    answer: str


class Added(BaseModel):
    added: int
    total: int
    personal: int  #: of the answers sent, those with personal data in them


class AnswerOut(BaseModel):
    answer_id: str
    question: str
    answer: str
    personal_data: list[str]  #: kinds of it found in the answer: bank_card, email, id_number, phone


class AnswersOut(BaseModel):
    answers: list[AnswerOut]
    total: int  #: of all, not of this page


class AnswerDeleted(BaseModel):
    success: bool = True
    elder_id: str
    answer_id: str
    total: int  #: answers that are left
    is_in_model: bool  #: whether a model was trained before this, and may know it still
    message: str


class ElderDeleted(BaseModel):
    success: bool = True
    elder_id: str
    deleted_answers: int
    deleted_versions: int
    deleted_jobs: int
