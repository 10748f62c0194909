// How the fake kernel reaches the session.
#pragma once

#include <fuselage/testing/fake_kernel.hpp>
#include <memory>

#include "testing/ledger.hpp"

namespace fuselage::fake {

/// One way to carry messages; answers go to the ledger. What a way does not have is a violation.
class Link {
 public:
  virtual ~Link() = default;

  virtual void deliver(Bytes message) = 0;
  /// Why the session did not begin; asked once INIT was answered.
  virtual Result<void> begun() = 0;
  /// Gets the answer if there is one to be had.
  virtual void await(Exchange& exchange) = 0;
  virtual bool run_pending() = 0;
  virtual void advance(std::chrono::nanoseconds duration) = 0;
  virtual Ended stop() = 0;
  virtual void resume() = 0;
  virtual Ended end() = 0;
  virtual Statistics statistics() const = 0;
};

std::unique_ptr<Link> make_direct_link(const FileSystemRef& file_system, Ledger& ledger,
                                       const FakeKernelOptions& options);
std::unique_ptr<Link> make_socket_link(const FileSystemRef& file_system, Ledger& ledger,
                                       const FakeKernelOptions& options);

}  // namespace fuselage::fake
