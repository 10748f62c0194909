// The floor over /dev/fuse: read(2), answer, writev(2), with one thread.
#include <sys/uio.h>
#include <unistd.h>

#include "raw.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  namespace wire = bench::wire;
  bench::Raw raw(false);
  const int device = bench::mount_raw(argv[1], "bench-raw-device");
  static constexpr std::size_t page = 4096;
  alignas(page) static char message[bench::max_write + page];
  alignas(page) static char out[bench::max_write];
  for (;;) {
    const ssize_t size = ::read(device, message, sizeof message);
    if (size < 0 && errno == ENODEV) return 0;
    if (size < 0 && (errno == EINTR || errno == ENOENT)) continue;
    if (size < 0) return 1;
    const auto& header = *reinterpret_cast<const wire::fuse_in_header*>(message);
    const char* arguments = message + sizeof header;
    const auto answer = raw.answer({header, arguments, arguments + bench::Raw::arguments_size(header.opcode)}, out);
    if (answer.none) continue;
    wire::fuse_out_header reply{static_cast<std::uint32_t>(sizeof reply + answer.size), -answer.error, header.unique};
    const ::iovec parts[] = {{&reply, sizeof reply}, {const_cast<void*>(answer.body), answer.size}};
    // An answer that nobody waits for any more fails, and does not matter.
    [[maybe_unused]] const ssize_t sent = ::writev(device, parts, answer.size > 0 ? 2 : 1);
  }
}
