#include "session/negotiate.hpp"

#include <algorithm>

#include "wire/capabilities.hpp"
#include "wire/operations.hpp"

namespace fuselage::session {
namespace {

using wire::Capability;

constexpr std::uint32_t page = 4096;
constexpr std::uint32_t smallest_write = page;
// Without MAX_PAGES the kernel splits requests at 32 pages (FUSE_DEFAULT_MAX_PAGES_PER_REQ).
constexpr std::uint32_t default_max_write = 32 * page;

bool implements(OperationSet implemented, std::string_view handler) {
  return std::any_of(wire::operations.begin(), wire::operations.end(), [&](const wire::OperationRow& row) {
    return row.handler == handler && implemented.contains(static_cast<std::uint32_t>(row.opcode));
  });
}

bool wanted(const wire::CapabilityRow& row, const SessionOptions& options, OperationSet implemented) {
  if (options.disable.contains(row.capability)) return false;
  switch (row.wanted) {
    case wire::Wanted::always:
      return true;
    case wire::Wanted::never:
      return false;
    case wire::Wanted::with_operation:
      return implements(implemented, row.operation);
    case wire::Wanted::without_operation:
      return !implements(implemented, row.operation);
    case wire::Wanted::option:
      return options.enable.contains(row.capability);
  }
  return false;
}

}  // namespace

void propose(Negotiation& negotiation, const wire::fuse_init_in& offer, const SessionOptions& options,
             OperationSet implemented) {
  const bool extended = (offer.flags & wire::bit(Capability::INIT_EXT)) != 0;
  const std::uint64_t offered = offer.flags | (extended ? std::uint64_t{offer.flags2} << 32 : 0);
  negotiation.minor = std::min(offer.minor, wire::kernel_minor);
  negotiation.offered = CapabilitySet(offered);
  std::uint64_t bits = 0;
  for (const wire::CapabilityRow& row : wire::capabilities) {
    if (wanted(row, options, implemented)) bits |= wire::bit(row.capability);
  }
  // Cached pages are checked against cached attributes; where these are not cached, that is a GETATTR for every read.
  if (options.attr_timeout.count() > 0 && !options.disable.contains(Capability::AUTO_INVAL_DATA)) {
    bits |= wire::bit(Capability::AUTO_INVAL_DATA);
  }
  if (options.request_timeout.count() > 0) bits |= wire::bit(Capability::REQUEST_TIMEOUT);
  negotiation.wanted = CapabilitySet(bits & offered);
  negotiation.max_write = options.max_write;
  negotiation.max_readahead = std::min(options.max_readahead, offer.max_readahead);
  negotiation.max_background = options.max_background;
  negotiation.congestion_threshold = options.congestion_threshold;
  negotiation.time_granularity = options.time_granularity;
}

void propose(Negotiation& negotiation, const wire::cuse_init_in& offer, const SessionOptions& options) {
  negotiation.minor = std::min(offer.minor, wire::kernel_minor);
  negotiation.max_write = std::min(options.max_write, default_max_write);
}

wire::cuse_init_out agree_on_device(const Negotiation& negotiation, const SessionOptions& options,
                                    Agreement& agreement) {
  agreement.minor = negotiation.minor;
  agreement.max_write = std::clamp(negotiation.max_write, smallest_write, std::max(options.max_write, smallest_write));
  wire::cuse_init_out out{};
  out.major = wire::kernel_major;
  out.minor = wire::kernel_minor;
  out.flags = options.character_device->unrestricted_ioctl ? wire::cuse_flag::unrestricted_ioctl : 0;
  out.max_read = out.max_write = agreement.max_write;
  out.dev_major = options.character_device->major;
  out.dev_minor = options.character_device->minor;
  return out;
}

wire::fuse_init_out agree(const Negotiation& negotiation, const SessionOptions& options, Agreement& agreement) {
  std::uint64_t flags = negotiation.wanted.bits() & negotiation.offered.bits();
  // Explicit and automatic invalidation exclude each other (process_init_reply takes the automatic one).
  if (wire::has(flags, Capability::EXPLICIT_INVAL_DATA)) flags &= ~wire::bit(Capability::AUTO_INVAL_DATA);

  const std::uint32_t limit =
      wire::has(flags, Capability::MAX_PAGES) ? options.max_write : std::min(options.max_write, default_max_write);
  const std::uint32_t max_write = std::clamp(negotiation.max_write, smallest_write, std::max(limit, smallest_write));

  wire::fuse_init_out out{};
  out.major = wire::kernel_major;
  out.minor = wire::kernel_minor;
  out.max_readahead = negotiation.max_readahead;
  out.flags = static_cast<std::uint32_t>(flags);
  out.flags2 = static_cast<std::uint32_t>(flags >> 32);
  out.max_background = negotiation.max_background;
  out.congestion_threshold = negotiation.congestion_threshold;
  out.max_write = max_write;
  // The pages are the limit of a READ, which small writes are no reason to make smaller.
  const std::uint32_t pages = (std::max(max_write, default_max_write) + page - 1) / page;
  out.max_pages = static_cast<std::uint16_t>(std::min<std::uint32_t>(pages, UINT16_MAX));
  out.time_gran =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(negotiation.time_granularity.count(), 1, 1'000'000'000));
  // Stacked on a backing file system that is itself not stacked (fuse_backing_open).
  out.max_stack_depth = wire::has(flags, Capability::PASSTHROUGH) ? 1 : 0;

  if (wire::has(flags, Capability::REQUEST_TIMEOUT)) {
    out.request_timeout =
        static_cast<std::uint16_t>(std::clamp<std::int64_t>(options.request_timeout.count(), 0, UINT16_MAX));
  }

  agreement.minor = negotiation.minor;
  agreement.flags = flags;
  agreement.max_write = max_write;
  return out;
}

}  // namespace fuselage::session
