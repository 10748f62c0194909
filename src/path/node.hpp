// A node of the tree and its names, packed: 56 bytes with a name of up to 15 bytes inside.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fuselage/types.hpp>
#include <string_view>
#include <utility>

namespace fuselage::path {

/// The bytes of a name: up to 15 of them in place, more on the heap. There is a bit left for its owner.
class NameText {
 public:
  NameText() noexcept { set_tag(0); }
  /// Throws std::bad_alloc.
  explicit NameText(std::string_view text) {
    if (text.size() <= longest_in_place) {
      text.copy(bytes_.data(), text.size());
      set_tag(static_cast<unsigned char>(text.size()));
      return;
    }
    char* const copy = new char[text.size()];
    text.copy(copy, text.size());
    const auto size = static_cast<std::uint32_t>(text.size());
    std::memcpy(bytes_.data(), &copy, sizeof copy);
    std::memcpy(bytes_.data() + sizeof copy, &size, sizeof size);
    set_tag(on_heap);
  }
  /// Takes the text, not the mark.
  NameText& operator=(NameText&& other) noexcept {
    const bool mine = marked();
    const bool theirs = other.marked();
    std::swap(bytes_, other.bytes_);
    mark(mine);
    other.mark(theirs);
    return *this;
  }
  ~NameText() {
    if (size_tag() == on_heap) delete[] heap();
  }

  std::string_view view() const noexcept {
    if (size_tag() != on_heap) return {bytes_.data(), size_tag()};
    std::uint32_t size = 0;
    std::memcpy(&size, bytes_.data() + sizeof(char*), sizeof size);
    return {heap(), size};
  }

  bool marked() const noexcept { return (tag() & mark_bit) != 0; }
  void mark(bool marked) noexcept { set_tag(static_cast<unsigned char>(size_tag() | (marked ? mark_bit : 0))); }

 private:
  static constexpr std::size_t longest_in_place = 15;
  static constexpr unsigned char on_heap = 0x7f;
  static constexpr unsigned char mark_bit = 0x80;

  unsigned char tag() const noexcept { return static_cast<unsigned char>(bytes_.back()); }
  unsigned char size_tag() const noexcept { return tag() & on_heap; }
  void set_tag(unsigned char tag) noexcept { bytes_.back() = static_cast<char>(tag); }
  char* heap() const noexcept {
    char* text = nullptr;
    std::memcpy(&text, bytes_.data(), sizeof text);
    return text;
  }

  std::array<char, longest_in_place + 1> bytes_{};
};

struct Node;

/// A place in a directory. Every node has one in itself; further names of hard links are `Alias`es.
struct Name {
  Name* chain = nullptr;   ///< The next one in its bucket of the name table, guarded there; or the next free node.
  Node* parent = nullptr;  ///< Null: no name (any more), or the root. Changes while the node is locked exclusively.
  NameText text;           ///< Changes at the same time. Marked in an `Alias`.

  /// Whose name it is.
  inline Node& node() noexcept;
};

/// What stands for a file or directory. It lives until `references` is 0.
struct Node : Name {
  std::atomic<std::uint64_t> lookups{0};     ///< Entries that the kernel has and did not forget.
  std::atomic<std::uint32_t> references{0};  ///< Names of children, pins, and one while `lookups` is not 0.
  std::atomic<std::uint32_t> lock{0};        ///< The path lock, see path_lock.hpp.
  std::uint32_t index = 0;                   ///< The low half of its number. Constant.
  std::uint32_t generation = 0;              ///< The high half: how many nodes had this place before.

  Ino ino() const noexcept { return Ino{std::uint64_t{generation} << 32 | index}; }

  /// Keeps the node from going; false if it is on its way.
  bool try_pin() noexcept {
    std::uint32_t count = references.load(std::memory_order_relaxed);
    while (count != 0) {
      if (references.compare_exchange_weak(count, count + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  /// The same for who knows that it stays for the moment.
  void pin() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
};
static_assert(sizeof(Node) == 56, "a node shall take at most 64 bytes with its share of the tables");

/// A further name of a node.
struct Alias : Name {
  explicit Alias(Node& node) noexcept : of(&node) { text.mark(true); }
  Node* of;
};

inline Node& Name::node() noexcept {
  return text.marked() ? *static_cast<Alias*>(this)->of : static_cast<Node&>(*this);
}

}  // namespace fuselage::path
