// From the bytes of an answer to the values of the API. The bytes were judged before: too short ones are filled up.
#pragma once

#include <fuselage/testing/fake_kernel.hpp>
#include <string>
#include <vector>

#include "wire/decoder.hpp"

namespace fuselage::fake {

/// The structure at `offset` of an answer.
template <class T>
T structure(const std::string& body, std::size_t offset = 0) {
  return wire::copy_out<T>(bytes_of(std::string_view(body).substr(std::min(offset, body.size()))));
}

Result<void> to_nothing(const std::string& body);
Result<std::string> to_text(const std::string& body);
Result<Entry> to_entry(const std::string& body);
Result<Attributes> to_attributes(const std::string& body);
Result<Attributes> to_statx(const std::string& body);
Result<Opened> to_opened(const std::string& body);
Result<Created> to_created(const std::string& body);
Result<std::size_t> to_written(const std::string& body);
Result<std::uint64_t> to_copied(const std::string& body);
Result<std::size_t> to_size(const std::string& body);
Result<StatFs> to_statfs(const std::string& body);
Result<std::vector<std::string>> to_names(const std::string& body);
Result<std::vector<ListedEntry>> to_listing(const std::string& body);
Result<std::vector<ListedEntry>> to_listing_plus(const std::string& body);
Result<Lock> to_lock(const std::string& body);
Result<std::uint64_t> to_number(const std::string& body);
Result<IoctlReply> to_ioctl(const std::string& body);
Result<std::uint32_t> to_events(const std::string& body);

/// The entries of a listing; nothing if its bytes are no listing.
std::optional<std::vector<ListedEntry>> parse_listing(std::string_view bytes, bool plus);

}  // namespace fuselage::fake
