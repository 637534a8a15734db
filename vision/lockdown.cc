#include "vision/lockdown.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

namespace duet {

bool lock_down() {
  prctl(PR_SET_DUMPABLE, 0);  // no picture in a crash dump: RLIMIT_CORE does not hold where dumps go to a program (core(5))
  if (kSanitized) return true;
#if defined(__x86_64__)
  constexpr uint32_t arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  constexpr uint32_t arch = AUDIT_ARCH_AARCH64;
#endif
  constexpr uint32_t allowed[] = {
      __NR_read,         __NR_write,          __NR_lseek,         __NR_mmap,      __NR_munmap,      __NR_mremap,
      __NR_mprotect,     __NR_madvise,        __NR_brk,           __NR_futex,     __NR_exit,        __NR_exit_group,
      __NR_rt_sigreturn, __NR_rt_sigprocmask, __NR_clock_gettime, __NR_getrandom, __NR_sched_yield, __NR_gettid,
      __NR_getpid,       __NR_close,          __NR_newfstatat,    __NR_fstat};
  const sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                    end = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  std::vector<sock_filter> f = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
                                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0), end,
                                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const uint32_t call : allowed) f.insert(f.end(), {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), allow});
  // A signal, as abort() sends one, to itself alone.
  f.insert(f.end(), {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_tgkill, 0, 3),
                     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
                     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, uint32_t(getpid()), 0, 1), allow});
  f.push_back(end);
  const sock_fprog program{static_cast<unsigned short>(f.size()), f.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace duet
