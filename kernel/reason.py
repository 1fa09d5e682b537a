"""Reasons: why something failed, as the place that knows it says it in English, and the same in Chinese.

An error keeps its reason in English: it is stored with the job and read in logs. Its reader's language is known
only where the sentence is made. What is not in this table stays as it is, such as the last line of a program's log.
"""

import functools
import re
from collections.abc import Mapping

_CHINESE = {
    # what was sent
    "not UTF-8": "不是 UTF-8 编码",
    "not JSON": "不是有效的 JSON",
    "not a JSON object": "不是 JSON 对象",
    "messages without user and assistant": "messages 里缺少 user 和 assistant 的话",
    "messages without role and content": "messages 里缺少 role 或 content",
    "'{name}' must be a text that is not empty": "“{name}”必须是不为空的文字",
    "'{name}' holds a NUL character": "“{name}”里有空字符（NUL）",
    "'{name}' holds half a character": "“{name}”里有不完整的字符",
    "'{name}' is longer than {count} characters": "“{name}”超过了 {count} 个字",
    "'expects' must be a list of lists of texts": "“expects”必须是由文字列表组成的列表",
    "'memory_id' is of no memory of this elder": "“memory_id”不是这位老人的记忆",
    "'approved' must be true or false": "“approved”只能是 true 或 false",
    "'output' has other fields than it was sent out with": "“output”的字段与导出时不一致",
    "The file is empty: put one answer on each line.{rest}": "文件是空的：每行写一条回答。",
    "{what} holds no words: write what the elder said.": "{what}里没有文字：请写下老人说的话。",
    "{what} holds half a character: save the file as UTF-8.": "{what}里有不完整的字符：请把文件存为 UTF-8。",
    "A correction goes with a thumb down.": "只有认为回答不好时才能附上更正。",
    "There is no correction to remember.": "没有可以记下来的更正。",
    "a chat's line without sender and text": "聊天记录的这一行缺少 sender 或 text",
    "Files that can be read: {known}.": "可以读取的文件：{known}。",
    "The file is empty.": "文件是空的。",
    "No words of the elder were found in the file.": "文件里没有找到老人讲的话。",
    "The file is not a chat export that is known here.": "这个文件不是可识别的聊天记录。",
    "Say which of those who wrote is the elder: {names}.": "请指明聊天里哪一位是老人：{names}。",
    "The file is not text, or its encoding is not known: save it as UTF-8.": (
        "文件不是文本，或无法识别它的编码：请把它存为 UTF-8。"
    ),
    "The PDF is locked with a password: save it without one.": "PDF 有密码：请另存为没有密码的文件。",
    "The PDF cannot be opened: it is damaged, or not a PDF.": "无法打开这个 PDF：文件已损坏，或不是 PDF。",
    "The PDF holds pictures of pages and no text: read it with a text recognition first.": (
        "这个 PDF 里只有页面的图片，没有文字：请先做文字识别。"
    ),
    "The document cannot be opened: it is damaged, or not a docx.": "无法打开这个文档：文件已损坏，或不是 docx。",
    "The file": "文件",
    "{count} pages": "{count} 页",
    "Base model {key} is not in training_config.yaml. Choose one of: {known}.": (
        "training_config.yaml 里没有基础模型 {key}。可以选择：{known}。"
    ),
    "storage of {key} must be one of: {known}.": "{key} 的 storage 只能是：{known}。",
    "{name} is read nowhere. Sections that can be: {known}.": "{name} 不会被读取。可以设置的部分：{known}。",
    "{name} names no key of training_config.yaml.": "{name} 不对应 training_config.yaml 里的任何一项。",
    "The body cannot be read: send JSON, encoded as UTF-8.": "无法读取提交的内容：请发送 UTF-8 编码的 JSON。",
    "The request": "这次提交的内容",
    "The answer": "回答",
    "The answer on line {line}": "第 {line} 行的回答",
    "The question": "问题",
    "The question on line {line}": "第 {line} 行的问题",
    "The list of questions": "问题列表",
    "The list of texts": "文字列表",
    "The text": "文字",
    "{count} answers": "{count} 条回答",
    "{count} characters": "{count} 个字",
    "{count} questions": "{count} 个问题",
    "elder_id": "老人编号（elder_id）",
    # through OpenAI's interface
    "The last message must be the user's.": "最后一条消息必须是用户的。",
    "Only text can be read here, no pictures, sounds or files.": "这里只能读文字，不能读图片、声音或文件。",
    "Send a text, or a list of texts: none empty, and none as numbers of another model's tokens.": (
        "请发送一段文字或文字列表：不能为空，也不能是其他模型的词元编号。"
    ),
    "There is nothing with this id to go on after.": "没有这个编号，无法从它之后继续列出。",
    "Say in 'suffix' which elder is to be trained.": "请用 suffix 指明要训练哪位老人。",
    "The language must be zh or en.": "语言只能是 zh 或 en。",
    "Elder {elder} is trained on {model}: name that model, or another elder.": (
        "老人 {elder} 用的是基础模型 {model}：请写这个模型，或换一位老人。"
    ),
    # the companion
    "The message": "这条消息",
    "hello is the first frame, and comes once": "hello 只能作为第一帧发送一次",
    "it is not a WAV file": "不是 WAV 文件",
    "it must be 16-bit PCM of 4 to 192 kHz": "必须是 4 到 192 kHz 的 16 位 PCM",
    "it holds no sound": "里面没有声音",
    "it is too long": "录音太长",
    "half a sample is missing": "缺了半个采样",
    "no word was heard in it": "没有听到任何话",
    "The voice": "语音合成",
    "The recogniser": "语音识别",
    "its package is missing; in the project folder: .venv/bin/pip install -c constraints.txt -e '.[voice]'": (
        "缺少软件包，请在项目文件夹里运行 .venv/bin/pip install -c constraints.txt -e '.[voice]'"
    ),
    "it does not speak this language": "它不会说这种语言",
    "it does not know this language; set HEIRLOOM_FUNASR_URL": "它听不懂这种语言，请设置 HEIRLOOM_FUNASR_URL",
    "eSpeak NG could not speak this": "eSpeak NG 无法朗读这句话",
    "PocketSphinx could not read this": "PocketSphinx 无法识别这段录音",
    "FunASR does not answer at its address": "FunASR 在其地址没有响应",
    "FunASR gave a reply that cannot be used": "FunASR 的回复无法使用",
    "GPT-SoVITS does not answer at its address": "GPT-SoVITS 在其地址没有响应",
    "GPT-SoVITS refused with {code}; is {file} there?": "GPT-SoVITS 拒绝了请求（{code}），请检查 {file} 是否存在",
    "GPT-SoVITS sent sound that cannot be used": "GPT-SoVITS 返回的声音无法使用",
    "it is switched off; set HEIRLOOM_COMPANION": "已关闭，请设置 HEIRLOOM_COMPANION",
    "its model is still loading": "模型仍在加载",
    "its model could not be loaded; see its log": "模型无法加载，请查看其日志",
    "its answer broke off": "回答中断",
    "it does not answer at its address": "在其地址没有响应",
    "Run 'heirloom base prepare {name}', or put it at {folder}.": (
        "请运行 heirloom base prepare {name}，或把它放到 {folder}。"
    ),
    "Run 'heirloom base prepare {name}'. Without the internet here: on a machine that reaches the hub, run "
    "'{command}', copy that folder to {path}, and delete {manifest} if it is there.": (
        "请运行 heirloom base prepare {name}。如果这台机器不能上网，请在能访问 Hugging Face 的机器上运行 '{command}'，"
        "把得到的文件夹复制到 {path}；如果有 {manifest}，请删除。"
    ),
    "memory is short; choose a smaller model or max_context_tokens in companion.yaml": (
        "内存不足，请在 companion.yaml 中选择更小的模型或更小的 max_context_tokens"
    ),
    "{name} names no key of companion.yaml.": "{name} 不对应 companion.yaml 里的任何一项。",
    "default_emotion {name} is none of the emotions of companion.yaml.": (
        "companion.yaml 的 emotions 里没有 default_emotion {name}。"
    ),
    "default_profile {name} is none of the profiles of companion.yaml.": (
        "companion.yaml 的 profiles 里没有 default_profile {name}。"
    ),
    # a teacher model
    "its key is not accepted; check {name}": "密钥不被接受，请检查 {name}",
    "its account has no credit left; what was replied is kept": "账户余额不足",
    "it has no model {model}; check {name}": "没有模型 {model}，请检查 {name}",
    "{url} is not its address; check {name}": "{url} 不是它的地址，请检查 {name}",
    "{path} cannot be loaded; check {name}": "无法加载 {path}，请检查 {name}",
    "{path} takes no instructions; check {name}": "{path} 不接受指令，请检查 {name}",
    "no reply, as the task is too long for it": "空的回复（任务太长）",
    "it did not reply in time": "没有及时回复",
    "it is asked too often": "提问过于频繁",
    "it failed (HTTP {status})": "它出错了（HTTP {status}）",
    "it does not accept the request (HTTP {status})": "它不接受这种请求（HTTP {status}）",
    "{url} cannot be reached": "无法连接 {url}",
    "an empty reply": "空的回复",
    "a reply that was cut off": "不完整的回复",
    "a reply that does not fit": "不合格式的回复",
    "a reply that is not in OpenAI's form": "不是 OpenAI 格式的回复",
    "{count} calls": "{count} 次提问",
    "{count} tokens": "{count} 个词元",
    # this machine
    "RAM": "内存",
    "VRAM": "显存",
    "Permission denied": "没有权限",
    "No such file or directory": "没有这个文件或文件夹",
    "Is a directory": "这是一个文件夹",
    "Not a directory": "路径中有一项不是文件夹",
    "No space left on device": "磁盘空间不足",
    "this Ollama takes no adapter on this base; keep merged weights instead": (
        "这个 Ollama 不接受用于该基础模型的适配器；请改为保存合并后的模型"
    ),
    "vLLM serves LoRA adapters, and there is none of this model": "vLLM 提供 LoRA 适配器，而这个模型没有适配器",
    "vLLM did not take the adapter: {words}": "vLLM 没有接受适配器：{words}",
    "vLLM sees no adapter at {path}; check {name}": "vLLM 在 {path} 看不到适配器，请检查 {name}",
    "it does not take the adapter of {model} any more: {words}": "它不再接受 {model} 的适配器：{words}",
    "it did not let {model} go: {words}": "它没有释放 {model}：{words}",
    "{path} cannot be removed": "无法删除 {path}",
    "it loads no adapters; start its server with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True": (
        "它不加载适配器；请用 VLLM_ALLOW_RUNTIME_LORA_UPDATING=True 启动它的服务器"
    ),
    "it broke down; start its server again": "它已崩溃，请重新启动它的服务器",
    "it has no adapter {model}; put its folder beside the others": "它没有适配器 {model}；请把它放到其他适配器旁边",
    # base models
    "Put its transformers folder at {source}.": "请把它的 transformers 文件夹放到 {source}。",
    "Install it in the project folder: .venv/bin/pip install -c constraints.txt {name}": (
        "请在项目文件夹里安装：.venv/bin/pip install -c constraints.txt {name}"
    ),
    "{path} is not complete ({missing}): copy the whole folder again.": (
        "{path} 不完整（缺少 {missing}）：请重新复制整个文件夹。"
    ),
    "The Hugging Face hub did not give it. Without the internet here: on a machine that reaches the hub, run "
    "'{command}', copy that folder to {path}, and delete {manifest} if it is there.": (
        "无法从 Hugging Face 下载。如果这台机器不能上网，请在能访问它的机器上运行 '{command}'，"
        "把得到的文件夹复制到 {path}；如果有 {manifest}，请删除。"
    ),
    "{model} has no chat template": "{model} 没有对话模板",
    # a stage, and the program that does its work
    "unexpected {kind}; see the worker's log": "意外错误 {kind}；请查看工作进程的日志",
    "its artefact vanished while it was in use": "它的产物在使用中消失了",
    "it was killed; the machine may be out of memory": "进程被系统终止，可能是内存不足",
    "it was ended by {signal}": "进程被 {signal} 信号终止",
    "it ended with code {code}": "进程退出，代码 {code}",
    "the GGUF splits a prompt into other tokens": "GGUF 对同一提示的分词不一致",
    "llama.cpp's converter ended with {words}": "llama.cpp 转换器出错：{words}",
    "pip could not download the source of {package} ({why}). "
    "On a machine without a network, put its .tar.gz into a folder and set PIP_FIND_LINKS to it.": (
        "pip 无法下载 {package} 的源码（{why}）。没有网络时，请把它的 .tar.gz 放进一个文件夹，"
        "并把 PIP_FIND_LINKS 设为该文件夹。"
    ),
    "no source distribution": "没有源码包",
    "no word": "没有输出",
    "{file} is not a whole GGUF file": "{file} 不是完整的 GGUF 文件",
    "{file} has no chat template inside": "{file} 里没有对话模板",
    # the engine
    "{model} cannot be loaded: memory is short or it is damaged": "{model} 无法载入：内存不足或文件已损坏",
    "llama-cpp-python is not installed here; run `make setup`": "没有安装 llama-cpp-python，请运行 make setup",
    "llama.cpp could not compute the answer": "llama.cpp 无法算出回答",
    "llama.cpp could not compute the answers": "llama.cpp 无法算出回答",
    "llama.cpp could not quantise {file} to {kind}": "llama.cpp 无法把 {file} 量化为 {kind}",
    "llama.cpp could not hold the answers: memory is short": "llama.cpp 容不下这些回答：内存不足",
    "llama.cpp could not {what}": "llama.cpp 无法完成（{what}）",
    "llama.cpp could not read the prompt": "llama.cpp 无法读取提示",
    "llama.cpp could not set the adapter": "llama.cpp 无法换上适配器",
    "the model takes {need} of memory and {setting} allows {have}": "模型需要 {need} 内存，而 {setting} 只允许 {have}",
    "{file} is not an adapter": "{file} 不是适配器",
    "the new model answered nothing": "新模型没有回答",
    "the file of {model} is gone; train again{rest}": "{model} 的文件不见了；请重新训练",
    "{path} cannot be made": "无法创建 {path}",
    "it is busy with other answers": "正忙于其他回答",
    "it has no model {model}; train again{rest}": "它没有模型 {model}；请重新训练",
    "it broke the answer off": "回答中断",
    "it ended the answer with an error (HTTP {status})": "回答时出错（HTTP {status}）",
    "{path} was refused (HTTP {status})": "请求 {path} 被拒绝（HTTP {status}）",
    "it did not answer in time": "响应超时",
    "no connection to its server": "无法连接它的服务器",
    "its server said something that is not {model}'s API": "对方的回应不是 {model} 的接口格式",
    "the model could not be made: {words}": "无法创建模型：{words}",
    "it did not finish making the model": "没有完成模型的创建",
    "it did not keep the model as it was made": "保存的模型与创建时不一致",
    "it renders the prompt otherwise than the model was trained; start its server with OLLAMA_GO_TEMPLATE=0": (
        "它拼接提示的方式与训练时不同；请用 OLLAMA_GO_TEMPLATE=0 启动它的服务器"
    ),
}

#: A stage by its name in the pipeline, or by its program's.
STAGES = {
    "collect_memories": "收集记忆",
    "write_notes": "撰写笔记",
    "find_topics": "归纳主题",
    "write_bio": "撰写传记",
    "index_graph": "整理人物和地点",
    "make_samples": "准备练习题",
    "train_sft": "学习老人的话",
    "make_pairs": "比较好坏回答",
    "train_dpo": "学会选更好的回答",
    "merge": "合并学到的内容",
    "convert_gguf": "打包模型",
    "evaluate": "检查学得怎样",
    "publish": "启用",
    "collect_extractions": "整理抽取样本",
    "hold_out": "留出评测样本",
    "evaluate_extraction": "评测抽取",
    "base_model": "准备基础模型",
    "graphrag": "整理人物和地点",
    "sft": "学习老人的话",
    "pairs": "比较好坏回答",
    "dpo": "学会选更好的回答",
    "convert": "打包模型",
    "answer": "检查学得怎样",
}

_WORDS = frozenset({"reason", "what", "how", "kind", "limit", "field"})  #: details that are words; others are ids
_FIGURES = frozenset({"line", "count", "code", "status"})  #: blanks that hold a number
_LONGEST = 1_000  #: characters; what is longer is no reason of ours, and not worth matching


def spoken(details: Mapping[str, object]) -> dict[str, object]:
    """An error's details as a Chinese sentence takes them."""
    told = {name: in_chinese(value) for name, value in details.items() if name in _WORDS and isinstance(value, str)}
    stage = str(details.get("stage", "?"))
    return {**details, **told, "stage": STAGES.get(stage, stage)}


def in_chinese(said: str) -> str:
    """The Chinese for a reason, with what its blanks hold; what is not known stays as it is."""
    for pattern, chinese in _patterns() if len(said) <= _LONGEST else ():
        if found := pattern.fullmatch(said):
            return chinese.format(**{name: in_chinese(words) for name, words in found.groupdict().items()})
    return said


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Each English sentence as a pattern; the one that says most is tried first."""
    pieces = [(re.split(r"\{(\w+)\}", english), chinese) for english, chinese in _CHINESE.items()]
    pieces.sort(key=lambda pair: -sum(map(len, pair[0][::2])))
    return [(re.compile(_pattern(split), re.DOTALL), chinese) for split, chinese in pieces]


def _pattern(pieces: list[str]) -> str:
    """`pieces`: text, blank, text, blank, ..., text."""
    return "".join(
        f"(?P<{piece}>{'[0-9]+' if piece in _FIGURES else '.*'})" if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )
