"""The sentences of `firmware.core.chinese`: the English one, and below it the Chinese one.

`{}` is whatever the panel put there. One sentence a line, however long, so that each is found by searching for it.
"""

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

REASONS = """
No such file or directory
    没有这个文件或文件夹
Permission denied
    没有权限
No space left on device
    磁盘已满
Read-only file system
    磁盘只读
Input/output error
    读写错误
Is a directory
    这是文件夹
Not a directory
    这不是文件夹
Connection refused
    连接被拒绝
Connection reset by peer
    对方断开连接
Connection timed out
    连接超时
Network is unreachable
    网络不可达
No route to host
    到不了主机
Device or resource busy
    设备被占用
Cannot allocate memory
    内存不足
{} needs a library: {}; install the extra gatebooth[{}]
    {} 缺少程序库：{}；请安装 gatebooth[{}]
a pin
    引脚
{} is closed
    {} 已关闭
{} cannot be read: {}
    {} 无法读取：{}
{} cannot be opened: {}
    {} 无法打开：{}
{} cannot be driven: {}
    {} 无法驱动：{}
{} cannot be switched {}: {}
    {} 无法切换为 {}：{}
{} gives no edges: {}; its level is still read
    {} 没有边沿：{}；仍在读取电平
{} level changes were found by re-reading alone; alarms come up to {} s later; restart the panel, then check the GPIO driver
    连续 {} 次变化只有重读才发现；报警最多迟 {} 秒；请重启主机，再检查 GPIO 驱动
the GPIO chip cannot be opened: {}; is this a Raspberry Pi, and is the user in the group gpio?
    无法打开 GPIO 芯片：{}；这是树莓派吗？用户在 gpio 组里吗？
the GPIO chip is gone
    GPIO 芯片已不在
lgpio needs a folder that this user (uid {}) can write: {}; create it or point the panel's state folder elsewhere
    lgpio 需要一个本用户（uid {}）可写的文件夹：{}；请建立它，或另设主机的状态文件夹
lgpio cannot be loaded: {}; install the extra gatebooth[board]
    无法加载 lgpio：{}；请安装 gatebooth[board]
console {} takes no text: {}
    控制台 {} 写不出去：{}
console {} at {} baud cannot be opened: {}
    控制台 {}（{} 波特）无法打开：{}
console {} is gone: {}
    控制台 {} 已断开：{}
it is readable but has nothing to read
    有数据可读却读不到
there is no such device; is it plugged in, and is this its name?
    没有这个设备；插好了吗？名称对吗？
this user may not; is it in the group dialout?
    用户无权使用；在 dialout 组里吗？
another program holds it; a login shell on this line, perhaps?
    被别的程序占用；是不是串口登录？
{} is no sound device; use its name or a part of it, or "test:"
    {} 不是声卡；请写声卡名称或其一部分，或 "test:"
{} is no camera; use rtsp://…, rtsps://…, /dev/video0 or test:
    {} 不是摄像头；请写 rtsp://…、rtsps://…、/dev/video0 或 test:
the stream ended
    视频流结束
the stream ended; the camera closed it or restarts
    视频流结束；摄像头关闭了它，或正在重启
its stream hangs; it is opened anew
    视频流停滞；正在重新打开
it answers, but has no such stream (404); check the path in its URL
    摄像头有应答，但没有这个视频流（404）；请检查地址中的路径
it refuses user or password (401)
    摄像头拒绝用户名或密码（401）
its address answers, but no camera listens there (connection refused); check the port
    地址有应答，但没有摄像头在监听（连接被拒绝）；请检查端口
nothing answers; is it powered, and is its address right?
    没有应答；通电了吗？地址对吗？
it answers, but sends no pictures there (4xx); check the path in its URL
    摄像头有应答，但那里没有图像（4xx）；请检查地址中的路径
it answers, but sends no pictures; check the path in its URL
    摄像头有应答，但没有图像；请检查地址中的路径
what answers is no camera that speaks RTSP; check the port in its URL
    应答的不是 RTSP 摄像头；请检查地址中的端口
no pictures for {} s; the camera hangs, or the network to it is down
    {} 秒没有图像；摄像头停滞，或网络不通
its picture is one even surface; is the lens covered, or is it dark?
    图像是一片均匀的颜色；镜头被遮挡了，还是太暗？
not one pixel changed for {} s; it hangs: switch it off and on
    {} 秒内没有一个像素变化；摄像头死机，请断电后重新上电
no more pictures: {}
    不再有图像：{}
its address cannot be reached or its name is unknown (input/output error)
    地址不可达或主机名不存在（输入输出错误）
there is no such device; is it plugged in?
    没有这个设备；插好了吗？
this user may not use it; is the user in the group video?
    用户无权使用；在 video 组里吗？
another program holds it
    被别的程序占用
{} is not there; this machine has {}; is it plugged in?
    没有 {}；这台机器有 {}；插好了吗？
none at all
    一个也没有
{} refuses {} Hz, mono, 16 bit: {}; its own rate is {} Hz; set that rate, or free the device where another program holds it
    {} 不支持 {} Hz 单声道 16 位：{}；它自己的采样率是 {} Hz；请设成它，或关掉占用设备的程序
{} takes no sound for {} s; is it unplugged, or does it hang?
    {} {} 秒没有放出声音；是被拔掉了，还是停滞了？
the sound library hangs; is the device unplugged?
    声音程序库停滞；设备被拔掉了吗？
no sound for half a second: is it unplugged? It is opened again
    半秒没有声音：被拔掉了吗？正在重新打开
the media process cannot be started: {}
    无法启动音视频进程：{}
the media process ended: {} ({}); another is started, sound and pictures had a gap
    音视频进程结束：{}（{}）；已另起一个，声音和图像有间断
its line broke
    连接断了
it is gone
    它不在了
it was killed
    被杀死
it does not read its orders
    它不读命令
it was silent for {} s and hangs
    它 {} 秒没有动静，已停滞
it said what no media process says: {}
    它说了音视频进程不会说的话：{}
exit status {}
    退出码 {}
signal {}
    信号 {}
all {} MiB of media.quota_mib are in use by evidence that not every receiver has confirmed; bring the receivers back, or raise it
    media.quota_mib 的 {} MiB 已被尚未全部送达的证据占满；请恢复接警台，或加大它
evidence cannot be written to {}: {}; stills and live sound go on from memory, clips do not: make room or repair the disk
    证据无法写入 {}：{}；图片和实时声音仍从内存发送，录像不行；请腾出空间或修复磁盘
{} incidents are captured already, and no more at once; reset some
    已在为 {} 起警情取证，不能再多；请解除一些
the camera sends {}; only h264 and hevc are kept: set the camera to one of them
    摄像头发送 {}；只保存 h264 和 hevc：请把摄像头设成其中之一
{} without parameter sets: neither its set-up nor its keyframe holds them
    {} 没有参数集：设置和关键帧里都没有
the disk is {} MiB behind; parts of clips are left out
    磁盘落后 {} MiB；录像有缺段
no Opus encoder for {} Hz: {}
    没有 {} Hz 的 Opus 编码器：{}
Opus encoder at {} Hz: {}
    {} Hz 的 Opus 编码器：{}
no decoder for {}: {}
    没有 {} 的解码器：{}
JPEG of {}x{}: {}
    {}x{} 的 JPEG：{}
no connection for evidence and live sound: {}
    证据和实时声音没有连接：{}
another panel runs as process {} on {}; stop it, or give this one a panel.state_dir of its own
    另一个主机进程 {} 正在使用 {}；请停止它，或为本主机另设 panel.state_dir
another process has the journal in {}; stop it
    另一个进程占用 {} 中的日志；请停掉它
epoch file in {} cannot be written: {}
    {} 中的纪元文件无法写入：{}
an alarm report takes {} bytes, {} is the limit; enlarge journal.alarm_kib
    一条报警报告要 {} 字节，上限 {}；请加大 journal.alarm_kib
alarm ring in {} is full: {} bytes are unfinished, {} is the limit; acknowledge alarms at the receivers, or enlarge journal.alarm_kib
    {} 中的报警环已满：未了 {} 字节，上限 {}；请在接警台确认报警，或加大 journal.alarm_kib
alarm ring in {}: no segment can be emptied; acknowledge alarms at the receivers
    {} 中的报警环：没有可清空的段；请在接警台确认报警
alarm ring in {}: no room to copy what is unfinished
    {} 中的报警环：没有空间移动未了的报告
alarm ring in {} cannot be written: {}; alarms go out from memory meanwhile; look at the disk
    {} 中的报警环无法写入：{}；报警暂由内存发出；请检查磁盘
event ring in {} cannot be written: {}; reports go out from memory meanwhile; look at the disk
    {} 中的事件环无法写入：{}；报告暂由内存发出；请检查磁盘
{}: {}; what could be read was kept; look at the disk
    {}：{}；能读出的已保留；请检查磁盘
{} of {} segments can be written: {}
    {1} 段中有 {0} 段可写：{2}
{} damaged records skipped in {} places, the first in {} at byte {}
    跳过 {1} 处 {0} 条损坏的记录，第一处在 {2} 第 {3} 字节
{} holds no record, and is not empty
    {} 不空，却没有记录
{} ring in {}: {}
    {1} 中的 {0} 环：{2}
{} ring: {}
    {} 环：{}
{} (and {} more)
    {}（另有 {} 处）
it is not there
    它不在那里
no regular file
    不是普通文件
not open
    没有打开
not open for writing
    没有打开供写入
not opened yet
    尚未打开
{} bytes where {} should be
    有 {} 字节，应为 {}
{} bytes, but at most {} are read
    有 {} 字节，最多只读 {}
retained, but receipts and commands are for the present only
    这是保留消息，而回执和命令只对当下有效
{} was missing
    {} 不见了
{} was gone or cut; made anew
    {} 不见了或被截断；已重建
{}: both slots are damaged
    {}：两个槽都损坏
{} has {} bytes instead of {}
    {} 有 {} 字节，应为 {}
{} cannot be read
    {} 无法读取
{}; it is not overwritten, and read again later
    {}；不会覆盖它，稍后再读
{} cannot be put right: {}
    {} 无法修复：{}
{}; kept as {}
    {}；保留为 {}
the disk took {} of {} bytes
    磁盘只写下 {1} 字节中的 {0} 字节
the dates of the broker's certificate were not checked: {} and is not synchronised
    没有核对代理证书的日期：{}，且未校准
the panel's clock says {}
    主机时钟显示 {}
path.tls.ca_file {} holds no PEM certificate
    path.tls.ca_file {} 中没有 PEM 证书
host name {} is not found: check --broker, and the name server
    找不到主机名 {}：请检查 --broker 和域名服务器
{} refuses connections: no broker listens there; check path.port
    {} 拒绝连接：那里没有代理在监听；请检查 path.port
{} refuses connections: no broker listens there; check the port in --broker
    {} 拒绝连接：那里没有代理在监听；请检查 --broker 的端口
{} does not answer in time: unreachable; check the network
    {} 没有及时应答：不可达；请检查网络
{} does not answer: check --broker and the network
    {} 没有应答：请检查 --broker 和网络
{} takes the connection and says nothing: is it an MQTT broker?
    {} 接受连接却不说话：它是 MQTT 代理吗？
{} ends the connection: {}
    {} 断开连接：{}
another desk came to {} as {}: give each desk its own name with --as
    另一个接警台以 {1} 连到 {0}：请用 --as 给每个接警台自己的名称
refused: {}
    拒收：{}
the broker refuses {}: {}; check --username and --password-file
    代理拒绝 {}：{}；请检查 --username 和 --password-file
the broker does not speak MQTT {}; try --mqtt {}
    代理不支持 MQTT {}；请试 --mqtt {}
the broker does not let this desk read {}: correct its access list
    代理不让本接警台读取 {}：请改正它的访问列表
the broker refuses {}: {}; correct its access list
    代理拒绝 {}：{}；请改正它的访问列表
the broker's certificate is not good: {}; check --ca {}, the host name and this machine's clock
    代理的证书不可用：{}；请检查 --ca {}、主机名和本机时钟
{} ends the connection at once: another service, or TLS on one side only?
    {} 立刻断开连接：是别的服务，还是只有一方用 TLS？
{} is unreachable: {}; check cable and network
    {} 不可达：{}；请检查网线和网络
TLS: the broker's certificate is not valid yet; {}: set it, or renew the certificate
    TLS：代理的证书尚未生效；{}：请校准时钟，或更换证书
TLS: the broker's certificate has expired; {}: renew the certificate, or set the clock
    TLS：代理的证书已过期；{}：请更换证书，或校准时钟
TLS: the broker's certificate is not signed by the authority in path.tls.ca_file {}
    TLS：代理的证书不是 path.tls.ca_file {} 中的机构签发的
TLS: the broker's certificate is not for {}: check path.host, or renew the certificate
    TLS：代理的证书不是给 {} 的：请检查 path.host，或更换证书
TLS: the broker's certificate is not good: {}
    TLS：代理的证书不可用：{}
path.tls.key_file {} is not the key of path.tls.cert_file {}
    path.tls.key_file {} 不是 path.tls.cert_file {} 的私钥
path.tls.cert_file {} and key_file {} are not a PEM certificate and its key
    path.tls.cert_file {} 和 key_file {} 不是 PEM 证书和它的私钥
{} {} is not there: copy the file, or correct the path
    没有 {} {}：请复制文件，或改正路径
{} {} cannot be read: {}
    {} {} 无法读取：{}
TLS: the broker wants a certificate of this panel: set path.tls.cert_file and key_file
    TLS：代理要求本主机的证书：请设置 path.tls.cert_file 和 key_file
TLS: the broker does not know the authority that signed path.tls.cert_file
    TLS：代理不认识签发 path.tls.cert_file 的机构
TLS: the broker says that path.tls.cert_file has expired
    TLS：代理说 path.tls.cert_file 已过期
TLS: the broker speaks no TLS on this port: check path.port
    TLS：代理在这个端口不用 TLS：请检查 path.port
TLS: the broker ended the connection: it may want a certificate of this panel (path.tls.cert_file)
    TLS：代理断开连接：它可能要求本主机的证书（path.tls.cert_file）
path.password_file {} is not there: make it, or correct the path
    没有 path.password_file {}：请建立它，或改正路径
path.password_file {} cannot be read: {}
    path.password_file {} 无法读取：{}
it is no UTF-8 text
    不是 UTF-8 文本
the broker announced a packet of {} bytes; none may have over {}
    代理要发 {} 字节的包；不得超过 {}
{} sends what is no MQTT {}: another service, or a broker of the other version (path.protocol)?
    {} 发来的不是 MQTT {}：是别的服务，还是另一版本的代理（path.protocol）？
{} answers no keep-alive for {} s
    {} 已 {} 秒不应答保活
{} ended the connection before it answered: it may want TLS, another MQTT version than path.protocol {}, or this panel's certificate
    {} 未应答就断开连接：它可能要求 TLS、与 path.protocol {} 不同的 MQTT 版本，或本主机的证书
connection to {} lost
    与 {} 的连接中断
the broker refuses subscriptions: {}; reports go out, but no receipt or command comes in: let {} read them
    代理拒绝订阅：{}；报告能发出，回执和命令进不来：请允许 {} 读取
another client came to the broker as {}: is there a second panel of this id?
    另一个客户端以 {} 连到代理：是不是有第二台同名主机？
the broker ended the connection: {}
    代理断开连接：{}
this panel
    本主机
user {} with {}
    用户 {}，{}
no user name (path.username)
    没有用户名（path.username）
the password in {}
    密码在 {}
no password (path.password_file)
    没有密码（path.password_file）
the broker refuses this panel, {}: it came as {}
    代理拒绝本主机，{}：登录为 {}
the broker refuses this panel: {}
    代理拒绝本主机：{}
the broker does not speak MQTT {}: set path.protocol to the other version
    代理不支持 MQTT {}：请把 path.protocol 改成另一版本
path {} holds as many alarms as it can; this one is repeated later
    路径 {} 的报警已满；这一条稍后重发
the broker owes {} for too long; connecting anew
    代理迟迟没有{}；重新连接
an answer to the connection
    应答连接
its answer to a report
    应答报告
nobody is subscribed to {}: is the receiver running?
    没有人订阅 {}：接警台在运行吗？
the broker refuses reports: {} (reason {})
    代理拒绝报告：{}（原因 {}）
{} does not answer; check host, port and the way there
    {} 没有应答；请检查主机、端口和线路
{}: {}; is the receiver running?
    {}：{}；接警台在运行吗？
it takes no more bytes
    它不再接收
{} is bad, running with the last good one: {}
    {} 有错，按上一份好的配置运行：{}
no copy of the configuration can be kept in {}: {}
    无法在 {} 保存配置副本：{}
kept the running one: {}
    保持现有配置：{}
key file {} is not there: {}
    没有密钥文件 {}：{}
copy it from the other side, or make a new one for both with `gatebooth keys`, or correct the path
    请从另一方复制，或用 `gatebooth keys` 为双方新建一个，或改正路径
key file {} has more than {} bytes: that is no key; correct the path
    密钥文件 {} 超过 {} 个字节：不是密钥；请改正路径
key file {} cannot be read: {}
    密钥文件 {} 无法读取：{}
key file {} holds something else than hexadecimal digits: it must be {} of 0-9 a-f
    密钥文件 {} 中有十六进制以外的字符：必须是 {} 位 0-9 a-f
key file {} has {} hexadecimal digits: it must have {}
    密钥文件 {} 有 {} 位十六进制数字：必须是 {} 位
{} has mode {}: others on this machine can read or change it; run chmod 600 {}
    {} 的权限是 {}：这台机器上的别人可以读取或修改；请运行 chmod 600 {}
"""  # noqa: E501 - see above
