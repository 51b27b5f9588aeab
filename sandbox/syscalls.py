"""System calls by name, in the kernel's own groups. docs/security.md gives the reasons."""

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fdatasync fgetxattr flistxattr flock fremovexattr fstat
fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2
pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir
sendfile splice stat statfs statx symlink symlinkat sync_file_range tee truncate umask unlink unlinkat utime utimensat
utimes vmsplice write writev cachestat
"""
_MEMORY = """
brk get_mempolicy madvise mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
membarrier mseal pkey_alloc pkey_free pkey_mprotect map_shadow_stack
"""
_PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_waitv futex_wait futex_wake
futex_requeue get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid
getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill
nanosleep pause pidfd_open pidfd_send_signal prlimit64 restart_syscall rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_thread_area
set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid
setrlimit setsid setuid sigaltstack sysinfo tgkill time times tkill uname vfork wait4 waitid clock_getres
clock_gettime clock_nanosleep gettimeofday timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime
"""
_TALKING = """
accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt listen pipe pipe2 poll ppoll pselect6 recvfrom
recvmmsg recvmsg select sendmmsg sendmsg sendto setsockopt shutdown signalfd signalfd4
socketpair ioctl
"""
ALLOWED = (*_FILES.split(), *_MEMORY.split(), *_PROCESSES.split(), *_TALKING.split())
"""Missing: those below and those that no program needs. `memfd_create`, `shmget`, `semget` and `msgget` make memory
that no watch can count; programs use /dev/shm in their place. `inotify_init` takes from what all programs of a node
have together."""
_FAR_REACHING = """
ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd
mount umount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr
unshare setns
add_key request_key keyctl
bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct syslog
open_by_handle_at name_to_handle_at fanotify_init fanotify_mark quotactl quotactl_fd lookup_dcookie
iopl ioperm modify_ldt settimeofday clock_settime adjtimex clock_adjtime stime sethostname setdomainname vhangup
mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages
"""
REFUSED = tuple(_FAR_REACHING.split())
"""These fail with "not permitted" instead of "not implemented", so that the user sees the reason."""
NOT_SUPPORTED = ("setxattr", "lsetxattr", "fsetxattr", "setxattrat")
"""As on a file system without them: in /tmp extended attributes take memory that no limit of its size counts."""
