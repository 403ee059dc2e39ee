"""Numbers of Linux system calls on the two processors that the sandbox knows, as name:x86_64:aarch64.

From the kernel's own tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h);
"-" where a processor lacks a call. A test compares them with the headers of the system, where those are.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import platform
import sys

# What Python, NumPy and torch do inside a cell. Anything that is not here is refused.
HARMLESS = """
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
preadv2:327:286 pwritev2:328:287 open:2:- openat:257:56 openat2:437:437 creat:85:- close:3:57
close_range:436:436 lseek:8:62 dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59 sendfile:40:71
copy_file_range:326:285 stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79 statx:332:291 access:21:-
faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78 getdents:78:- getdents64:217:61
getcwd:79:17 chdir:80:49 fchdir:81:50 statfs:137:43 fstatfs:138:44 ftruncate:77:46 truncate:76:45
fallocate:285:47 fsync:74:82 fdatasync:75:83 flock:73:32 umask:95:166 mkdir:83:- mkdirat:258:34
rmdir:84:- unlink:87:- unlinkat:263:35 rename:82:- renameat:264:38 renameat2:316:276 link:86:-
linkat:265:37 symlink:88:- symlinkat:266:36 chmod:90:- fchmod:91:52 fchmodat:268:53 utimensat:280:88
utime:132:- utimes:235:- futimesat:261:- fadvise64:221:223 brk:12:214 mmap:9:222 munmap:11:215
mremap:25:216 mprotect:10:226 madvise:28:233 msync:26:227 mincore:27:232 get_mempolicy:239:236
futex:202:98 futex_waitv:449:449 set_robust_list:273:99 get_robust_list:274:100 rseq:334:293
set_tid_address:218:96 membarrier:324:283 gettid:186:178 getpid:39:172 getppid:110:173
sched_yield:24:124 sched_getaffinity:204:123 sched_getparam:143:121 sched_getscheduler:145:120
sched_get_priority_max:146:125 sched_get_priority_min:147:126 getcpu:309:168 getuid:102:174
geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150 getgroups:115:158
getpgrp:111:- getpgid:121:155 getsid:124:156 getpriority:140:141 rt_sigaction:13:134
rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136 rt_sigtimedwait:128:137
rt_sigsuspend:130:133 sigaltstack:131:132 restart_syscall:219:128 pause:34:- alarm:37:- setitimer:38:103
getitimer:36:102 nanosleep:35:101 clock_nanosleep:230:115 clock_gettime:228:113 clock_getres:229:114
gettimeofday:96:169 time:201:- times:100:153 getrusage:98:165 getrlimit:97:163 uname:63:160
sysinfo:99:179 getrandom:318:278 exit:60:93 exit_group:231:94 wait4:61:260 waitid:247:95
epoll_create:213:- epoll_create1:291:20 epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22
epoll_pwait2:441:441 poll:7:- ppoll:271:73 select:23:- pselect6:270:72 eventfd:284:- eventfd2:290:19
shutdown:48:210 getsockname:51:204 getpeername:52:205 getsockopt:55:209
"""

# Allowed with some arguments only (seccomp.py says which).
CHECKED = """
clone:56:220 kill:62:129 tgkill:234:131 socketpair:53:199 prctl:157:167 ioctl:16:29 fcntl:72:25
prlimit64:302:261 arch_prctl:158:- recvfrom:45:207 recvmsg:47:212 sendto:44:206 sendmsg:46:211
"""

# Refused, by name: what attacks try. The sandbox itself uses the last ones, before the filter is on.
REFUSED = """
clone3:435:435 fork:57:- vfork:58:- execve:59:221 execveat:322:281 socket:41:198 connect:42:203
bind:49:200 listen:50:201 accept:43:202 accept4:288:242 ptrace:101:117 process_vm_readv:310:270
process_vm_writev:311:271 pidfd_open:434:434 pidfd_getfd:438:438 pidfd_send_signal:424:424 tkill:200:130
rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 unshare:272:97 setns:308:268 mount:165:40
umount2:166:39 pivot_root:155:41 chroot:161:51 keyctl:250:219 add_key:248:217 request_key:249:218
bpf:321:280 userfaultfd:323:282 perf_event_open:298:241 io_uring_setup:425:425 memfd_create:319:279
memfd_secret:447:- shmget:29:194 semget:64:190 msgget:68:186 mq_open:240:180 seccomp:317:277
setuid:105:146 setresuid:117:147 setsid:112:157 setpgid:109:154 setrlimit:160:164 mknod:133:-
mknodat:259:33 open_by_handle_at:304:265 kexec_load:246:104 init_module:175:105 reboot:169:142
capset:126:91 mount_setattr:442:442 landlock_create_ruleset:444:444 landlock_add_rule:445:445
landlock_restrict_self:446:446
"""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_*


def numbers(table: str, machine: str | None = None) -> dict[str, int]:
    """Name to number on a machine (default: this one). Raises KeyError for a processor that is not known."""
    column, _ = MACHINES[machine or platform.machine()]
    found = {}
    for entry in table.split():
        name, *columns = entry.split(":")
        if columns[column] != "-":
            found[name] = int(columns[column])
    return found


def known() -> bool:
    """Whether this is a machine whose numbers stand here."""
    return platform.system() == "Linux" and platform.machine() in MACHINES and sys.maxsize > 1 << 32
