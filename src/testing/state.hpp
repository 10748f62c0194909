// What is behind a FakeKernel, and how it makes its requests.
#pragma once

#include <fuselage/testing/fake_kernel.hpp>
#include <mutex>
#include <string>

#include "testing/answers.hpp"
#include "testing/ledger.hpp"
#include "testing/link.hpp"
#include "wire/operations.hpp"

namespace fuselage {

struct FakeKernel::State {
  State(const FileSystemRef& file_system, FakeKernelOptions options);

  using ExchangePtr = std::shared_ptr<fake::Exchange>;

  /// Sends a request of an operation of the table: its structure, as long as this minor has it, then `payload`.
  template <wire::Opcode opcode>
  ExchangePtr ask(Ino ino, const wire::ArgumentsOf<opcode>& arguments, std::string_view payload = {}) {
    const std::size_t size = wire::row_of(opcode).arguments_size(minor, capabilities.bits());
    std::string body(reinterpret_cast<const char*>(&arguments), size);
    body += payload;
    return submit(static_cast<std::uint32_t>(opcode), ino, body, extensions(opcode));
  }
  /// The same for operations without a structure.
  template <wire::Opcode opcode>
  ExchangePtr ask(Ino ino, std::string_view payload = {}) {
    return submit(static_cast<std::uint32_t>(opcode), ino, payload, extensions(opcode));
  }

  ExchangePtr submit(std::uint32_t opcode, Ino ino, std::string_view body, std::string_view extension = {});
  ExchangePtr submit(std::uint64_t unique, std::uint32_t opcode, Ino ino, std::string_view body,
                     std::string_view extension = {});

  Caller caller() const;
  ::mode_t masked(::mode_t mode) const;
  void begin();
  void begin_device();

  const FakeKernelOptions options;
  fake::Ledger ledger;
  std::unique_ptr<fake::Link> link;
  fake::Exchange::Await await;
  std::uint32_t minor = 0;
  CapabilitySet capabilities;
  Result<Agreed> agreed = Error{ENOTCONN};
  bool unmounted = false;

  mutable std::mutex mutex;
  Caller caller_now;  // guarded by mutex

 private:
  /// What goes behind the names of an operation that makes a node; else nothing.
  std::string extensions(wire::Opcode opcode) const;
  wire::fuse_init_in offer(std::uint32_t major) const;
  ExchangePtr send_init(std::uint32_t major);
};

}  // namespace fuselage
