// A program outside the tree: it sees the installed headers and links the installed library.
#include <fuselage/log.hpp>
#include <fuselage/result.hpp>

int main() {
  fuselage::set_log_sink([](fuselage::LogLevel, std::string_view) {});
  const fuselage::Result<int> result = fuselage::Error{ENOENT};
  return result.error().code() == ENOENT ? 0 : 1;
}
