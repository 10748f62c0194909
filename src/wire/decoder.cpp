#include "wire/decoder.hpp"

#include <fmt/format.h>

namespace fuselage::wire {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t padded(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

/// A cursor over bytes that are no whole message.
Decoder over(Bytes bytes) {
  Message message;
  message.payload = bytes;
  return Decoder(message);
}

bool parse_contexts(Bytes body, std::uint32_t count, std::vector<SecurityContext>& contexts) {
  for (; count != 0; --count) {
    Decoder decoder = over(body);
    const auto context = decoder.item<fuse_secctx>();
    const auto name = context ? decoder.text() : std::nullopt;
    const auto value = name ? decoder.bytes(context->size) : std::nullopt;
    if (!value) return false;
    contexts.push_back({*name, *value});
    const std::size_t used = padded(body.size() - decoder.rest().size());
    body = body.subspan(std::min(used, body.size()));
  }
  return true;
}

bool parse_groups(Bytes body, std::vector<std::uint32_t>& groups) {
  Decoder decoder = over(body);
  const auto header = decoder.item<fuse_supp_groups>();
  if (!header || header->nr_groups > decoder.rest().size() / sizeof(std::uint32_t)) return false;
  groups.reserve(groups.size() + header->nr_groups);
  for (std::uint32_t i = 0; i < header->nr_groups; ++i) groups.push_back(*decoder.item<std::uint32_t>());
  return true;
}

}  // namespace

std::optional<std::string_view> Decoder::text() {
  if (rest_.empty()) return std::nullopt;
  const auto* begin = reinterpret_cast<const char*>(rest_.data());
  const auto* end = static_cast<const char*>(std::memchr(begin, 0, rest_.size()));
  if (end == nullptr) return std::nullopt;
  const auto length = static_cast<std::size_t>(end - begin);
  rest_ = rest_.subspan(length + 1);
  return std::string_view(begin, length);
}

std::optional<Bytes> Decoder::bytes(std::size_t count) {
  if (count > rest_.size()) return std::nullopt;
  const Bytes next = rest_.first(count);
  rest_ = rest_.subspan(count);
  return next;
}

Result<Extensions> Extensions::parse(Bytes bytes) {
  Extensions extensions;
  while (!bytes.empty()) {
    Decoder decoder = over(bytes);
    const auto header = decoder.item<fuse_ext_header>();
    if (!header || header->size < sizeof(fuse_ext_header) || header->size > bytes.size()) {
      return Error{EIO, fmt::format("extension states {} bytes of {}", header ? header->size : 0, bytes.size())};
    }
    const Bytes body = bytes.subspan(sizeof(fuse_ext_header), header->size - sizeof(fuse_ext_header));
    bool whole = true;
    if (header->type <= extension_type::max_nr_secctx) {
      whole = parse_contexts(body, header->type, extensions.security_contexts);
    } else if (header->type == extension_type::groups) {
      whole = parse_groups(body, extensions.groups);
    }
    if (!whole) return Error{EIO, fmt::format("extension of type {} is cut short", header->type)};
    bytes = bytes.subspan(std::min(padded(header->size), bytes.size()));
  }
  return extensions;
}

}  // namespace fuselage::wire
