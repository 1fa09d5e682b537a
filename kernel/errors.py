"""Every error that a person may read, as one tree.

    HeirloomError
    ├── Permanent                   trying again changes nothing
    │   ├── BadInput                the caller can mend it                       HTTP 422
    │   │   ├── BadId
    │   │   ├── BadLine             a line of an uploaded file
    │   │   ├── TooLarge                                                         HTTP 413
    │   │   ├── ContextTooLong      a question with its history and memories
    │   │   ├── Unsupported         a parameter of OpenAI's interface
    │   │   ├── TooManyFiles
    │   │   ├── WrongBase           an engine serves another base model
    │   │   ├── BadAudio            a recording that cannot be read
    │   │   └── TooFewMemories
    │   ├── NotFound                no such thing, or another tenant's           HTTP 404
    │   │   ├── ElderNotFound
    │   │   ├── AnswerNotFound
    │   │   ├── ConversationNotFound
    │   │   ├── FeedbackNotFound
    │   │   ├── JobNotFound
    │   │   ├── MadeNotFound        a sample, a pair, what a model was made of
    │   │   ├── GraphNotFound
    │   │   ├── BioNotFound
    │   │   ├── ModelNotFound
    │   │   ├── VersionNotFound     of an elder's model
    │   │   ├── NoSuchModel         by its name
    │   │   ├── LeftBrainNotFound
    │   │   ├── NothingExtracted
    │   │   └── TrainingFileNotFound
    │   ├── Conflict                                                             HTTP 409
    │   │   ├── JobRunning
    │   │   ├── ConversationFull
    │   │   ├── ElderExists
    │   │   └── VersionInUse
    │   ├── Unauthorized                                                         HTTP 401
    │   ├── StageFailed             a stage's own work went wrong
    │   │   ├── ConversionMismatch
    │   │   └── StageKeepsDying
    │   ├── ConsentMissing                                                       HTTP 403
    │   ├── EngineNotConfigured     an engine that an elder or a version names       HTTP 503
    │   ├── TeacherMisconfigured    its address, key, model or credit
    │   ├── TeacherRefused          one task, for what is in it
    │   ├── BudgetSpent             of one job, for its teacher
    │   ├── BaseModelMissing
    │   └── NotEnoughMemory         RAM or VRAM
    ├── Transient                   the same call may succeed later              HTTP 503
    │   ├── StoreUnavailable
    │   ├── QueueUnavailable
    │   ├── NoWorkers
    │   ├── EngineUnavailable
    │   ├── GenerationTimeout       an answer that was broken off
    │   ├── CompanionBusy                                                        HTTP 429
    │   ├── SpeechUnavailable       what hears or speaks
    │   ├── TeacherUnavailable
    │   ├── TeacherGarbled          a reply that cannot be used
    │   └── NoDiskSpace                                                          HTTP 507
    ├── Cancelled                   a person asked for it
    └── LeaseLost                   another worker owns the job: stop, write nothing

Each has a code; its docstring is the English message and `zh` the Chinese one, both formatted with
the error's details; kernel/reason.py has the Chinese for the words among them. A message says what to do, and
never holds a person's words.
"""

from typing import ClassVar

from kernel.reason import spoken


class HeirloomError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    zh: ClassVar[str] = "出错了。"
    status: ClassVar[int] = 500

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(self.message("en"))

    def message(self, language: str) -> str:
        """The sentence a person reads; `language` is "zh" or anything else for English."""
        if language == "zh":
            return self.zh.format_map(_Blank(spoken(self.details)))
        return (type(self).__doc__ or "").strip().format_map(_Blank(self.details))


class _Blank(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


class Permanent(HeirloomError):
    """This cannot work as asked."""

    code = "permanent"


class BadInput(Permanent):
    """{reason}"""

    code = "bad_input"
    zh = "{reason}"
    status = 422


class BadId(BadInput):
    """{field} must be 1-64 letters, digits, '_' or '-', starting with a letter or digit."""

    code = "bad_id"
    zh = "{field}只能是 1 到 64 个字母、数字、下划线或连字符，并以字母或数字开头。"


class BadLine(BadInput):
    """Line {line} cannot be read ({reason}). Nothing was saved; correct that line and send the file again."""

    code = "bad_line"
    zh = "第 {line} 行无法读取（{reason}）。没有保存任何内容；请改正该行后重新上传。"


class TooLarge(BadInput):
    """{what} is larger than {limit}. Split it into smaller ones."""

    code = "too_large"
    zh = "{what}超过了 {limit}。请拆成几条再提交。"
    status = 413


class ContextTooLong(BadInput):
    """The model reads {limit} tokens at most; this conversation is longer. Start a new one, or ask less."""

    code = "context_too_long"
    zh = "这段对话超过了模型能读的 {limit} 个词元。请缩短问题，或开始新的对话。"


class WrongBase(BadInput):
    """The engine {engine} serves {base} only, and this elder is trained on {asked}: choose another engine or base."""

    code = "wrong_base"
    zh = "引擎 {engine} 只服务于 {base}，而这位老人的模型基于 {asked}：请改用另一个引擎或基础模型。"


class BadAudio(BadInput):
    """The recording cannot be read: {reason}. Send 16-bit PCM: a WAV file, or 16 kHz samples after audio_begin."""

    code = "bad_audio"
    zh = "录音无法读取：{reason}。请发送 16 位 PCM：WAV 文件，或在 audio_begin 之后发送 16 kHz 采样。"


class TooFewMemories(BadInput):
    """There are {have} memories and training needs at least {need}: add {missing} more answers first."""

    code = "too_few_memories"
    zh = "现在有 {have} 条记忆，训练至少需要 {need} 条：请再添加 {missing} 条。"


class Unsupported(BadInput):
    """'{param}' with this value is not supported here: leave it out."""

    code = "unsupported"
    zh = "这里不支持参数 '{param}' 的这个值：请去掉它。"


class TooManyFiles(BadInput):
    """There are {count} files, and no more are kept. Delete some with DELETE /v1/files/<id> first."""

    code = "too_many_files"
    zh = "已有 {count} 个文件，不能再多。请先用 DELETE /v1/files/<编号> 删除一些。"


class NotFound(Permanent):
    """There is no such thing here."""

    code = "not_found"
    zh = "这里没有这一项。"
    status = 404


class ElderNotFound(NotFound):
    """There is no elder {elder}. Create one with POST /elders, or check the id."""

    code = "elder_not_found"
    zh = "没有编号为 {elder} 的老人。请先用 POST /elders 创建，或检查编号。"


class AnswerNotFound(NotFound):
    """Elder {elder} has no answer {answer}. GET /elders/{elder}/answers lists them with their ids."""

    code = "answer_not_found"
    zh = "老人 {elder} 没有编号为 {answer} 的回答。GET /elders/{elder}/answers 会列出全部回答和编号。"


class ConversationNotFound(NotFound):
    """There is no conversation {conversation} here. GET /conversations lists them; leave it out to begin a new one."""

    code = "conversation_not_found"
    zh = "没有编号为 {conversation} 的对话。GET /conversations 会列出全部对话；不填编号就会开始新的对话。"


class FeedbackNotFound(NotFound):
    """Elder {elder} has no feedback {feedback}. GET /feedback?elder_id={elder} lists it with its ids."""

    code = "feedback_not_found"
    zh = "老人 {elder} 没有编号为 {feedback} 的反馈。GET /feedback?elder_id={elder} 会列出全部反馈和编号。"


class JobNotFound(NotFound):
    """There is no job {job}. Check the id that /train/start returned."""

    code = "job_not_found"
    zh = "没有任务 {job}。请检查 /train/start 返回的编号。"


class MadeNotFound(NotFound):
    """Nothing that the model in use was made of is called {id}. Chat names the memories of each answer: begin there."""

    code = "made_not_found"
    zh = "正在使用的模型里没有编号为 {id} 的内容。聊天的每个回答都列出记忆编号，可以从那里查起。"


class GraphNotFound(NotFound):
    """The graph of elder {elder} is no longer here. Training makes it anew: POST /train/start."""

    code = "graph_not_found"
    zh = "老人 {elder} 的图谱已不在这里。重新训练会再生成：POST /train/start。"


class BioNotFound(NotFound):
    """The biography of elder {elder} is not here, or quotes what was taken back. Write it anew: POST /train/start."""

    code = "bio_not_found"
    zh = "老人 {elder} 的生平已不在这里，或引用了已收回的话。重新训练会再写一份：POST /train/start。"


class ModelNotFound(NotFound):
    """Elder {elder} has no model yet. Train one with POST /train/start."""

    code = "model_not_found"
    zh = "老人 {elder} 还没有模型。请先用 POST /train/start 训练。"


class VersionNotFound(NotFound):
    """Elder {elder} has no version {version}. GET /models/{elder} lists those that are kept."""

    code = "version_not_found"
    zh = "老人 {elder} 没有第 {version} 版模型。GET /models/{elder} 会列出保留的版本。"


class NoSuchModel(NotFound):
    """There is no model {model} here. GET /v1/models lists those that answer."""

    code = "no_such_model"
    zh = "这里没有模型 {model}。GET /v1/models 会列出可以对话的模型。"


class TrainingFileNotFound(NotFound):
    """There is no file {file}. GET /v1/files lists those that were uploaded."""

    code = "file_not_found"
    zh = "没有文件 {file}。GET /v1/files 会列出已上传的文件。"


class LeftBrainNotFound(NotFound):
    """Elder {elder} has no left brain yet. Train one with POST /train/start and "brain": "left"."""

    code = "left_brain_not_found"
    zh = "老人 {elder} 还没有左脑。请先用 POST /train/start 训练，并设置 brain 为 left。"


class NothingExtracted(NotFound):
    """No notes of elder {elder}'s memories have been written yet. Train once with POST /train/start, then review."""

    code = "nothing_extracted"
    zh = "老人 {elder} 的回忆还没有笔记。请先用 POST /train/start 训练一次，再来审阅。"


class Conflict(Permanent):
    """This conflicts with what is already there."""

    code = "conflict"
    zh = "与已有内容冲突。"
    status = 409


class JobRunning(Conflict):
    """Job {job_id} is already training this elder. Wait for it, or cancel it first."""

    code = "job_running"
    zh = "任务 {job_id} 正在训练这位老人的模型。请等待它完成，或先取消它。"


class ConversationFull(Conflict):
    """This conversation has {limit} questions, and holds no more. Begin a new one: nothing of it is lost."""

    code = "conversation_full"
    zh = "这段对话已有 {limit} 个问题，不能再加。请开始新的对话，原来的内容都还在。"


class ElderExists(Conflict):
    """There is already an elder {elder}. Use it, or choose another id."""

    code = "elder_exists"
    zh = "编号 {elder} 已经存在。请直接使用，或换一个编号。"


class VersionInUse(Conflict):
    """Version {version} is the one that {elder}'s family talks with. Activate another one first, then retire it."""

    code = "version_in_use"
    zh = "第 {version} 版是老人 {elder} 正在使用的模型。请先启用另一个版本，再停用它。"


class Unauthorized(Permanent):
    """The API key is missing or wrong. Send it as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'."""

    code = "unauthorized"
    zh = "API 密钥缺失或不正确。请用请求头 'Authorization: Bearer <密钥>' 或 'X-API-Key: <密钥>' 发送。"
    status = 401


class StageFailed(Permanent):
    """Stage {stage} failed ({reason}). Start it again; if it fails the same way, look at the worker's log."""

    code = "stage_failed"
    zh = "“{stage}”阶段失败（{reason}）。请重新开始；若仍失败，请查看工作进程的日志。"


class ConversionMismatch(StageFailed):
    """Converted, the model says {same} of {asked} answers as before: not published. Train again, or on another base."""

    code = "conversion_mismatch"
    zh = "转换后的模型与训练所得的回答不一致（{asked} 题中 {same} 题一致）：没有发布。请重新训练，或换一个基础模型。"


class StageKeepsDying(StageFailed):
    """Stage {stage} ended its worker {attempts} times. Look at the worker's log for the cause, then start again."""

    code = "stage_keeps_dying"
    zh = "“{stage}”阶段已使工作进程中断 {attempts} 次。请查看日志找出原因后重新开始。"


class ConsentMissing(Permanent):
    """A teacher model elsewhere would read {elder}'s words. Record consent first: 'heirloom elder consent {elder}'."""

    code = "consent_missing"
    zh = "本机之外的教师模型会读到老人 {elder} 讲的话。请先记录老人的同意：heirloom elder consent {elder}"
    status = 403


class EngineNotConfigured(Permanent):
    """The engine {engine} is not configured here. Set {setting}, or choose another engine and train again."""

    code = "engine_not_configured"
    zh = "这里没有配置引擎 {engine}。请设置 {setting}，或改用另一个引擎并重新训练。"
    status = 503


class TeacherMisconfigured(Permanent):
    """The teacher model cannot be asked: {reason}. Mend that and start again: what it replied is kept."""

    code = "teacher_misconfigured"
    zh = "无法向教师模型提问：{reason}。改正后重新开始即可：已得到的回复都已保存。"


class TeacherRefused(Permanent):
    """The teacher model refused one memory ({purpose}). Take that answer back, or choose another model."""

    code = "teacher_refused"
    zh = "教师模型拒绝处理其中一条记忆（{purpose}）。请收回那条回答，或换一个教师模型。"


class BudgetSpent(Permanent):
    """This job may ask its teacher model for {limit}, and has: raise {setting}, then start again. Nothing is lost."""

    code = "budget_spent"
    zh = "这次任务向教师模型提问的上限（{limit}）已用完：请调高 {setting} 后重新开始，已得到的回复不会丢失。"


class BaseModelMissing(Permanent):
    """Base model {model} is not on this machine. {how}"""

    code = "base_model_missing"
    zh = "本机没有基础模型 {model}。{how}"


class NotEnoughMemory(Permanent):
    """Training {model} needs about {need_gb} GB of {kind} and {have_gb} GB is free: choose a smaller base model."""

    code = "not_enough_memory"
    zh = "训练 {model} 约需 {need_gb} GB {kind}，现有 {have_gb} GB。请选择更小的基础模型。"


class Transient(HeirloomError):
    """A part of the system is not answering. Try again in a minute."""

    code = "transient"
    zh = "系统的一部分暂时没有响应。请稍后再试。"
    status = 503


class StoreUnavailable(Transient):
    """The database is not answering. Nothing was lost; try again in a minute."""

    code = "store_unavailable"
    zh = "数据库暂时没有响应。没有丢失任何内容，请稍后再试。"


class QueueUnavailable(Transient):
    """The job queue is not answering. The job is kept and will start when it is back."""

    code = "queue_unavailable"
    zh = "任务队列暂时没有响应。任务已保存，恢复后会自动开始。"


class NoWorkers(Transient):
    """No worker answers. Jobs are kept and start when one is back."""

    code = "no_workers"
    zh = "没有工作进程响应。任务已保存，工作进程恢复后会自动开始。"


class EngineUnavailable(Transient):
    """The model engine {engine} is not answering: {reason}. Try again in a minute."""

    code = "engine_unavailable"
    zh = "模型引擎 {engine} 没有响应：{reason}。请稍后再试。"


class GenerationTimeout(Transient):
    """The answer took longer than {seconds} s and was broken off. Ask again, or ask for less."""

    code = "generation_timeout"
    zh = "回答超过了 {seconds} 秒，已中断。请再问一次，或把问题缩短。"


class CompanionBusy(Transient):
    """Too many are waiting for the companion. Try again in a minute."""

    code = "companion_busy"
    zh = "等候陪伴的人太多了，请稍后再试。"
    status = 429


class SpeechUnavailable(Transient):
    """{what} is not to be had: {reason}. The companion goes on in writing."""

    code = "speech_unavailable"
    zh = "{what}暂时无法使用：{reason}。接下来只用文字交谈。"


class TeacherUnavailable(Transient):
    """The teacher model is not answering: {reason}. Try again in a minute; 'heirloom doctor' tests it."""

    code = "teacher_unavailable"
    zh = "教师模型没有响应：{reason}。请稍后再试；heirloom doctor 可以检查。"


class TeacherGarbled(Transient):
    """The teacher model gave {reason}. Try again, or choose another model."""

    code = "teacher_garbled"
    zh = "教师模型给出了{reason}。请重试，或换一个模型。"


class NoDiskSpace(Transient):
    """The disk is full: {need} needed, {have} free under {path}. Free some, then start again: what is done is kept."""

    code = "no_disk_space"
    zh = "磁盘空间不足：{path} 需要 {need}，剩余 {have}。请清理空间后重新开始：已完成的阶段不会重做。"
    status = 507


class Cancelled(HeirloomError):
    """The job was cancelled."""

    code = "cancelled"
    zh = "任务已取消。"
    status = 409


class LeaseLost(HeirloomError):
    """Another worker owns this job now."""

    code = "lease_lost"
    zh = "另一个工作进程已接手此任务。"


def by_code(code: str) -> type[HeirloomError]:
    """The class with this code; HeirloomError itself for one that this version does not know."""
    left: list[type[HeirloomError]] = [HeirloomError]
    while left:
        kind = left.pop()
        if kind.__dict__.get("code") == code:
            return kind
        left += kind.__subclasses__()
    return HeirloomError
