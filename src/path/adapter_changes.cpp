// What takes names away: removal and renaming, and how open files are hidden from it.
#include <fmt/format.h>

#include "path/with.hpp"

namespace fuselage::path {

Reply<void> Adapter::unlink(const Context& context, Ino parent, std::string_view name) {
  return with(
      context, Want{{parent, name}, {}, true}, Nameless::refuse,
      [this, &context](Hold& hold, Path path, Path) -> Reply<std::string> {
        if (must_hide(hold.first.target.get())) return hide(context, path);
        return unlink_now(context, path);
      },
      [this, name](Hold& hold, const Result<std::string>& hidden_as) -> Result<void> {
        if (!hidden_as) return hidden_as.error();
        gone(hold.first, name, *hidden_as);
        return {};
      });
}

Reply<void> Adapter::rmdir(const Context& context, Ino parent, std::string_view name) {
  return with(
      context, Want{{parent, name}, {}, true}, Nameless::refuse,
      [this, &context](Hold&, Path path, Path) { return file_system_.rmdir(context, path); },
      [this, name](Hold& hold, Result<void> removed) -> Result<void> {
        if (removed) gone(hold.first, name, {});
        return removed;
      });
}

Reply<void> Adapter::rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                            std::string_view new_name, RenameFlags flags) {
  return with(
      context, Want{{parent, name}, {{new_parent, new_name}}, true}, Nameless::refuse,
      [this, &context, flags](Hold& hold, Path path, Path new_path) -> Reply<std::string> {
        const Node* const replaced = hold.second.target.get();
        const bool replaces = !flags.exchange && !flags.no_replace && replaced != hold.first.target.get();
        if (replaces && must_hide(replaced)) return hide_and_rename(context, path, new_path, flags);
        return rename_now(context, path, new_path, flags);
      },
      [this, name, new_name, flags](Hold& hold, const Result<std::string>& hidden_as) -> Result<void> {
        if (!hidden_as) return hidden_as.error();
        renamed(hold, name, new_name, flags, *hidden_as);
        return {};
      });
}

// Both answer the name that a file was hidden under, which is none here. A handler that does not wait needs no
// coroutine.
Reply<std::string> Adapter::without_hiding(Reply<void> answer) {
  if (!answer.ready()) return without_hiding_later(std::move(answer));
  const Result<void> result = answer.take();
  if (!result) return result.error();
  return std::string();
}

Reply<std::string> Adapter::without_hiding_later(Reply<void> answer) {
  const Result<void> result = co_await answer;
  if (!result) co_return result.error();
  co_return std::string();
}

Reply<std::string> Adapter::unlink_now(const Context& context, Path path) {
  return without_hiding(file_system_.unlink(context, path));
}

Reply<std::string> Adapter::rename_now(const Context& context, Path path, Path new_path, RenameFlags flags) {
  return without_hiding(file_system_.rename(context, path, new_path, flags));
}

// Is it open, and would be without a name?
bool Adapter::must_hide(const Node* target) {
  return options_.hide_removed && target != nullptr && has(operations::rename) && !tree().has_alias(*target) &&
         files_.any(target->ino());
}

// Renames a file to a name in its directory that nobody uses; answers the name.
Reply<std::string> Adapter::hide(const Context& context, Path path) {
  constexpr int attempts = 10;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const std::string name = fmt::format(".fuse_hidden{:08x}{:08x}", static_cast<std::uint64_t>(path.node()),
                                         hidden_.fetch_add(1, std::memory_order_relaxed));
    const std::string text = fmt::format("{}/{}", path.parent() == "/" ? "" : path.parent(), name);
    const Path hidden(text.c_str(), text.size(), Ino{});
    const Result<Attributes> there = co_await file_system_.getattr(context, hidden, nullptr);
    if (there || there.error().code() != ENOENT) continue;
    const Result<void> result = co_await file_system_.rename(context, path, hidden, {});
    if (!result) co_return result.error();
    co_return name;
  }
  co_return Error{EBUSY};
}

Reply<std::string> Adapter::hide_and_rename(const Context& context, Path path, Path new_path, RenameFlags flags) {
  Result<std::string> hidden_as = co_await hide(context, new_path);
  if (!hidden_as) co_return hidden_as.error();
  const Result<void> result = co_await file_system_.rename(context, path, new_path, flags);
  if (result) co_return *hidden_as;
  // The replaced file has moved all the same; better it comes back than that both names are gone.
  const std::string text = fmt::format("{}/{}", new_path.parent() == "/" ? "" : new_path.parent(), *hidden_as);
  static_cast<void>(
      co_await file_system_.rename(context, Path(text.c_str(), text.size(), new_path.node()), new_path, {}));
  co_return result.error();
}

// The name leads nowhere any more; if `hidden_as` is not empty, its node has that name now.
void Adapter::gone(Hold::Place& place, std::string_view name, const std::string& hidden_as) {
  Node* const node = place.target.get();
  if (node == nullptr) return;
  if (hidden_as.empty()) {
    tree().remove_name(*node, *place.node, name);
  } else {
    tree().move_name(*node, *place.node, name, *place.node, hidden_as);
    files_.hide(node->ino());
  }
}

void Adapter::renamed(Hold& hold, std::string_view name, std::string_view new_name, RenameFlags flags,
                      const std::string& hidden_as) {
  Node* const source = hold.first.target.get();
  Node* const target = hold.second.target.get();
  if (source == target) return;  // not known, or two names of one file, which renaming leaves as they are
  if (!flags.exchange) gone(hold.second, new_name, hidden_as);
  if (source != nullptr) tree().move_name(*source, *hold.first.node, name, *hold.second.node, new_name);
  if (flags.exchange && target != nullptr) {
    tree().move_name(*target, *hold.second.node, new_name, *hold.first.node, name);
  }
}

}  // namespace fuselage::path
