#include "inode/dispatcher.hpp"

#include <array>
#include <utility>

#include "inode/dispatch.hpp"

namespace fuselage::inode {
namespace {

// The only line that exceptions cross.
template <std::size_t index>
void call(session::Handler& handler, Request& request) try {
  constexpr const wire::OperationRow& row = wire::operations[index];
  FileSystem& file_system = static_cast<Dispatcher&>(handler).file_system();
  if constexpr (row.reply == wire::ReplyKind::none) {
    dispatch_notice<row.opcode>(file_system, request);
    request.finish();
  } else {
    dispatch<row.opcode>(file_system, request);
  }
} catch (...) {
  const Error error = error_of_current_exception();
  base::log(LogLevel::error, "{} ino={} unique={}: {} (the handler threw: {})", request.row().name,
            request.header().nodeid, request.header().unique, Error{error.code()}.message(), error.message());
  request.fail(error);
}

template <std::size_t index>
constexpr session::Handler::Function function() {
  if constexpr (wire::operations[index].handler == "session") {
    return nullptr;
  } else {
    return &call<index>;
  }
}

template <std::size_t... index>
constexpr auto functions_of(std::index_sequence<index...>) {
  return std::array<session::Handler::Function, sizeof...(index)>{function<index>()...};
}

constexpr auto functions_of_rows = functions_of(std::make_index_sequence<wire::operations.size()>());

}  // namespace

Dispatcher::Dispatcher(const FileSystemRef& file_system) noexcept : file_system_(file_system) {
  functions = functions_of_rows;
}

void Dispatcher::destroy() noexcept try { file_system().destroy(); } catch (...) {
  base::log(LogLevel::error, "destroy threw: {}", error_of_current_exception().message());
}

}  // namespace fuselage::inode
