"""Themes and values: what a life is commonly told about, and the traits that show in it, by plain words.

Two small bilingual lexicons. English words are stems (see kernel.language.stem); Chinese ones are substrings.
"""

# ruff: noqa: E501 - two tables
from dataclasses import dataclass

from kernel.language import tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    en: str
    zh: str
    words: frozenset[str]

    def name(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    def is_in(self, text: str, language: str) -> bool:
        return self.hits(text, language) > 0

    def hits(self, text: str, language: str) -> int:
        """How many of the theme's different words the text holds."""
        if language == "zh":
            return sum(word in text for word in self.words if not word.isascii())
        return len(self.words & set(tokens(text)))


def _themes(table: str) -> tuple[Theme, ...]:
    """Lines of "English name | Chinese name | English words | Chinese words"."""
    themes = []
    for line in table.strip().splitlines():
        en, zh, english, chinese = (cell.strip() for cell in line.split("|"))
        words = frozenset(token for word in english.split() for token in tokens(word))
        themes.append(Theme(en=en, zh=zh, words=words | frozenset(chinese.split())))
    return tuple(themes)


THEMES = _themes(
    """
    childhood | 童年 | childhood born cottage toy doll climb tree play baby cradle | 小时候 出生 生在 玩 爬 淘气 童年
    parents and grandparents | 父母祖辈 | mother father grandmother grandfather aunt uncle | 娘 爹 父亲 母亲 外婆 外公 奶奶 爷爷 舅舅
    school | 上学 | school teacher lesson class exam pupil | 学校 小学 老师 先生 读书 课桌 写字
    work | 工作 | work job factory bakery shop wage office retire farm miner mill trade | 厂 工资 工作 退休 上班 上工 徒弟 摆摊 种地 下地
    love and marriage | 婚姻 | marry wedding veil honeymoon husband wife dance bride | 结婚 老伴 说媒 成家 嫁 谈对象
    children and grandchildren | 儿孙 | son daughter child grandchild granddaughter grandson baby | 孩子 儿子 女儿 孙女 孙子 老大 老二
    friends and neighbours | 朋友邻里 | friend neighbour mate | 朋友 邻居 隔壁 干姐妹 同事 弄堂
    home | 家里 | house room home cottage wall furniture wireless quilt clock | 阁楼 房 屋 缝纫机 收音机 家里
    food | 饭菜 | tart jam cook recipe bake eat cake pie honey apple sweet | 菜 焖 吃 糖 饼 馒头 黄酒 炒
    hard times | 艰难的日子 | war flood ration evacuee storm fog fire hunger bomb | 困难 台风 大水 着火 饥 逃 战 糠
    health | 病痛 | fever hospital nurse doctor broke ill sick wrist | 病 打摆子 医 郎中 伤 缝了
    journeys | 出远门 | sail travel train ship journey abroad trip drive | 火车 轮船 硬座 出远门 旅 坐船 汽车
    music and pleasures | 歌与乐 | song sing choir music piano film picture dance cinema | 唱 越剧 电影 戏 二胡 腰鼓 歌
    animals and gardens | 花草动物 | dog cat garden dahlia flower bee grow allotment pet pigeon | 猫 狗 花 鸽子 种
    things kept and lost | 旧物 | ring dress lose bicycle present treasure prize | 镯 旗袍 丢 自行车 奖 手表
    faith and sayings | 信念与老话 | chapel church pray god always saying promise bible | 菩萨 庙 老话 常说 做人 信
    loss and regret | 离别与遗憾 | died death regret funeral quarrel grave | 走的时候 后悔 最后一面 去世 走了 坟
    """
)

VALUES = _themes(
    """
    family | 顾家 | mother father husband wife brother sister daughter son | 娘 爹 老伴 外婆 外公 奶奶 爷爷 弟弟 孩子
    hard work | 勤劳 | work earn early retire wage trade labour | 干活 工资 起早 当学徒 磨 撑 攒 退休
    thrift | 节俭 | penny shilling saved save mend made old scrap guinea | 省 攒 旧 废 凑合 补 零头
    generosity | 慷慨 | gave give present share left gift borrow | 送 分给 让给 塞给 给了我
    courage | 勇敢 | brave afraid frighten rescue risk fear dare | 冲 不怕 敢 救 胆
    humour | 幽默 | laugh joke funny tease mischief | 笑 逗 闹着玩 淘气 开玩笑
    faith | 信念 | church chapel pray god faith bible hymn | 菩萨 庙 拜 烧香 信
    loyalty | 重情义 | promise friend swore kept loyal | 一辈子 从来 还记得 情分 干姐妹 惦记
    perseverance | 坚韧 | learn try fail again until search | 坚持 熬 学会 摔 咬牙 硬撑 挺过
    love of beauty | 爱美 | flower song sing dance dress garden music colour quilt | 花 唱 戏 旗袍 绣 漂亮
    curiosity | 好奇 | read book travel journey discover wonder | 读书 好奇 见世面 打听 琢磨
    regret | 牵挂 | regret sorry quarrel lost wish | 后悔 遗憾 没赶上 可惜 想念
    """
)
