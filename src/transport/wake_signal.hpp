// The signal that cuts a blocking read short.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace fuselage::transport {

/// A real-time signal that nobody in this process used when it was first asked for, with a handler that does nothing,
/// so that a blocked system call of the thread it is sent to fails with EINTR. One for the process, since signals are.
/// Why a signal: waiting in poll(2) for either a request or a wake-up would cost one more system call for every
/// request, and the kernel has no message by which a server could answer itself.
int wake_signal() noexcept;

/// Blocks every signal in the calling thread but the wake signal and those that mean a crash; gives the old mask.
::sigset_t accept_only_wake_signal() noexcept;

}  // namespace fuselage::transport
