#include <fuselage/session.hpp>

#include "wire/capabilities.hpp"

namespace fuselage {
namespace {

// The row's option and its opposite. What is said last holds.
void add_capability(OptionSet& table, SessionOptions& options, const wire::CapabilityRow& row) {
  const auto say = [&options, capability = row.capability](bool use) {
    return [&options, capability, use] {
      options.enable.remove(capability);
      options.disable.remove(capability);
      (use ? options.enable : options.disable).add(capability);
    };
  };
  const std::string name(row.option);
  table.flag(name, say(true), "use the capability " + std::string(row.name) + " where the kernel offers it")
      .flag("no_" + name, say(false), "not " + name);
}

}  // namespace

void add_session_options(OptionSet& table, SessionOptions& options) {
  table.value("max_threads", &options.max_threads, "how many handlers may be held up at once")
      .choice("transport", &options.transport,
              {{"auto", Transport::automatic}, {"uring", Transport::uring}, {"device", Transport::device}},
              "what carries the requests")
      .value("ring_depth", &options.ring_depth, "with io_uring: requests of one CPU under way before its queue grows")
      .value("attr_timeout", &options.attr_timeout, "how long the kernel may believe attributes")
      .value("entry_timeout", &options.entry_timeout, "how long the kernel may believe names")
      .value("deadline", &options.deadline, "answer ETIMEDOUT when a handler takes longer")
      .bytes("max_write", &options.max_write, "largest write or read")
      .bytes("max_readahead", &options.max_readahead, "how far the kernel may read ahead")
      .value("max_background", &options.max_background, "background requests under way at once")
      .value("congestion_threshold", &options.congestion_threshold, "background requests before the kernel holds back")
      .value("time_granularity", &options.time_granularity, "resolution of the file system's times")
      .flag("trace", &options.trace, "log a line for each message");
  for (const wire::CapabilityRow& row : wire::capabilities) {
    if (!row.option.empty() && row.capability != Capability::REQUEST_TIMEOUT) add_capability(table, options, row);
  }
  table.value("request_timeout", &options.request_timeout, "the kernel aborts the connection after this");
}

}  // namespace fuselage
