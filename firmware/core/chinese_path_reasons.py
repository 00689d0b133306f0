"""Sentences of `firmware.core.chinese` on names, interfaces and ways out; written as those in `chinese_reasons`."""

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

REASONS = """
its answer to subscriptions
    应答订阅
no answer
    没有应答
the broker refuses subscriptions; connecting anew
    代理拒绝订阅；重新连接
no name server answers for host name {}
    没有域名服务器应答主机名 {}
host name {} is not found
    找不到主机名 {}
{}: check path.host, and the name server
    {}：请检查 path.host 和域名服务器
{}: check the name server; the address from before is used, {}
    {}：请检查域名服务器；暂用以前的地址 {}
path.bind {}: {}
    path.bind {}：{}
this system lets only root choose an interface: take Linux 5.7 or newer, or give the service CAP_NET_RAW
    此系统只允许 root 选择接口：请用 Linux 5.7 或更新的内核，或给服务 CAP_NET_RAW
no such network interface; there are {}: correct it, or plug the modem in
    没有这个网络接口；现有 {}：请改正，或插好上网模块
no interface of this machine has this address: correct it, or name the interface instead
    本机没有这个地址：请改正，或改填接口名
it cannot be used: {}
    无法使用：{}
{} has no {} address: correct one of them
    {} 没有 {} 地址：请改正其中之一
the interface is off: switch it on (ip link set {} up)
    接口已关闭：请打开（ip link set {} up）
the interface has no link: check cable, aerial and SIM card
    接口没有连接：请检查网线、天线和 SIM 卡
the interface has no IPv4 address: check DHCP, or the SIM card and its APN
    接口没有 IPv4 地址：请检查 DHCP，或 SIM 卡及其 APN
no way to {} from there: check router and default route
    从那里到不了 {}：请检查路由器和默认路由
put the receiving centre's key into it
    请把接警中心的密钥放进去
the receiver hung up
    接警台挂断
only half an answer came
    应答只来了一半
no answer came in time
    没有及时应答
the receiver answered with {}
    接警台的应答是 {}
the receiver does not accept frames of account {} (NAK): it does not know the account, or was given another key; check path.dc09.account, key_file and key_encoding
    接警台不接受用户编号 {} 的帧（NAK）：它不认识这个编号，或密钥不同；请检查 path.dc09.account、key_file 和 key_encoding
an acknowledgement of a time {}: it is a recording, or one of both clocks is wrong
    时间{}的 ACK：可能是重放的旧应答，也可能是两边的时钟有一个不准
the receiver's clock is {}; set it
    接警台的时钟{}；请校准
{} {} ahead of this panel's
    比本主机快 {} {}
{} {} behind this panel's
    比本主机慢 {} {}
the receiver takes no code {}: {}; ask the receiving centre to take it
    接警台不收代码 {}：{}；请接警中心收下它
three tries, {}
    试了三次，{}
it answers {}
    应答是 {}
it has no use for it (DUH)
    应答是 DUH（不理解）
the receiver has no use for {} (DUH): try the other path.dc09.protocol
    接警台不理解{}（DUH）：请试另一种 path.dc09.protocol
this report
    这条报告
code {}
    代码 {}
encryption needs the package pycryptodomex: pip install 'gatebooth[dc09]'
    加密需要软件包 pycryptodomex：pip install 'gatebooth[dc09]'
key file {} holds something else than hexadecimal digits 0-9 a-f: write {} of them
    密钥文件 {} 中有十六进制数字 0-9 a-f 以外的字符：请写 {} 位
key file {} has {} hexadecimal digits: an AES key has {}
    密钥文件 {} 有 {} 位十六进制数字：AES 密钥应为 {} 位
key file {} holds something else than printable ASCII characters without spaces: write the key again
    密钥文件 {} 中有可打印 ASCII 以外的字符或空格：请重写密钥
key file {} has {} characters: an AES key has {}
    密钥文件 {} 有 {} 个字符：AES 密钥应为 {} 个
{}; if the receiver was given exactly this text, set path.dc09.key_encoding = "{}"
    {}；若接收机用的正是这段文字，请设 path.dc09.key_encoding = "{}"
"""  # noqa: E501 - a sentence stands on one line, as it is searched for
