// The handler that a session serves a `FileSystem` through.
#pragma once

#include <fuselage/file_system.hpp>

#include "session/connection.hpp"

namespace fuselage::inode {

/// Knows, for each row of the operation table, the function that decodes it and calls the file system.
class Dispatcher final : public session::Handler {
 public:
  /// `file_system` must outlive the dispatcher.
  explicit Dispatcher(const FileSystemRef& file_system) noexcept;

  OperationSet implemented() const noexcept override { return file_system_.operations(); }
  Result<void> init(Negotiation& negotiation) override { return file_system().init(negotiation); }
  void destroy() noexcept override;

  FileSystem& file_system() const noexcept { return file_system_.file_system(); }

 private:
  FileSystemRef file_system_;
};

}  // namespace fuselage::inode
