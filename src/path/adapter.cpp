#include "path/adapter.hpp"

#include "path/with.hpp"

namespace fuselage {

Result<detail::NodesByPath::Found> detail::NodesByPath::find(std::string_view path) {
  if (!path.starts_with('/')) return Error{EINVAL, "a path begins at the root of the mount: /..."};
  Found found;
  tree.root().pin();
  found.node = path::PinnedNode(&tree.root(), path::Unpin{&tree});
  while (!path.empty()) {
    const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
    path.remove_prefix(begin);
    if (path.empty()) break;
    if (found.node == nullptr) return Error{ENOENT};
    found.name = path.substr(0, path.find('/'));
    found.parent = found.node->ino();
    found.node = tree.child(*found.node, found.name);
    path.remove_prefix(found.name.size());
  }
  return found;
}

FileSystemRef by_path(const PathFileSystemRef& file_system, const PathOptions& options) {
  return {std::make_shared<path::Adapter>(file_system, options),
          path::Adapter::operations_for(file_system.operations(), options)};
}

namespace path {

Adapter::Adapter(const PathFileSystemRef& file_system, const PathOptions& options)
    : file_system_(file_system.file_system()),
      operations_(file_system.operations()),
      options_(options),
      cares_for_open_files_(cares_for_open_files(operations_, options_)),
      nodes_(std::make_shared<detail::NodesByPath>()),
      locks_(nodes_->tree) {}

OperationSet Adapter::operations_for(OperationSet operations, const PathOptions& options) noexcept {
  OperationSet all = operations | operations::forget;
  if (operations.contains_any(operations::getattr)) all = all | operations::lookup;
  // Listings are kept with the open directory.
  if (operations.contains_any(operations::readdir)) all = all | operations::opendir | operations::releasedir;
  if (cares_for_open_files(operations, options)) all = all | operations::open | operations::release;
  return all;
}

// Otherwise the kernel is told once that nobody wants to hear of it.
bool Adapter::cares_for_open_files(OperationSet operations, const PathOptions& options) noexcept {
  return operations.contains_any(operations::open | operations::release) || options.hide_removed ||
         options.kernel_cache || options.auto_cache || options.direct_io;
}

Result<void> Adapter::init(Negotiation& negotiation) {
  notifier_ = negotiation.notifier;
  constexpr std::uint32_t prune_since = 45;
  can_prune_ = negotiation.minor >= prune_since;
  PathSetup setup{negotiation, options_, PathNotifier(nodes_, notifier_)};
  auto ready = file_system_.init(setup);
  tree().remember(options_.remember);
  return ready;
}

void Adapter::destroy() { file_system_.destroy(); }

void Adapter::forget(Ino ino, std::uint64_t count) {
  tree().forget(ino, count);
  if (options_.auto_cache && tree().pin(ino) == nullptr) files_.drop(ino);
}

Attributes Adapter::shown(const Attributes& attributes) const noexcept {
  Attributes shown = attributes;
  if (!options_.use_ino) shown.ino = Ino{};
  if (!shown.timeout) shown.timeout = options_.attr_timeout;
  if (options_.umask) shown.mode = (shown.mode & S_IFMT) | (0777 & ~*options_.umask);
  shown.uid = options_.uid.value_or(shown.uid);
  shown.gid = options_.gid.value_or(shown.gid);
  return shown;
}

Result<Attributes> Adapter::seen(Ino ino, const Result<Attributes>& attributes) {
  if (!attributes) return attributes.error();
  if (options_.auto_cache) files_.saw(ino, *attributes);
  Attributes result = shown(*attributes);
  // The hidden name is none.
  if (options_.hide_removed && result.nlink > 0 && files_.is_hidden(ino)) --result.nlink;
  return result;
}

std::uint64_t Adapter::identity_of(const Attributes& attributes) const noexcept {
  const bool linked = options_.hard_links && attributes.nlink > 1 && file_type(attributes.mode) != FileType::directory;
  return linked ? static_cast<std::uint64_t>(attributes.ino) : 0;
}

Entry Adapter::entry_of(Ino ino, const Attributes& attributes) const noexcept {
  Entry entry;
  entry.ino = ino;
  entry.generation = static_cast<std::uint64_t>(ino) >> 32;
  entry.attributes = shown(attributes);
  entry.timeout = options_.entry_timeout;
  return entry;
}

Entry Adapter::enter(Node& parent, std::string_view name, const Attributes& attributes) {
  const Ino ino = tree().enter(parent, name, identity_of(attributes));
  if (options_.auto_cache) files_.saw(ino, attributes);
  if (options_.max_nodes != 0 && tree().size() > options_.max_nodes) let_go();
  return entry_of(ino, attributes);
}

// Asks the kernel to let go of nodes that nothing but its cache needs; what it does not need is forgotten soon after.
void Adapter::let_go() {
  constexpr std::uint32_t each = 32;
  constexpr std::size_t at_once = 2 * each;  // more than have come since, so that the number goes down
  if (entered_.fetch_add(1, std::memory_order_relaxed) % each != 0) return;
  std::vector<Ino> inos;
  for (const PinnedNode& node : tree().idle(at_once)) {
    if (can_prune_) {
      inos.push_back(node->ino());
    } else if (const auto place = locks_.place_of(*node)) {
      static_cast<void>(notifier_.inval_entry(place->first, place->second));
    }
  }
  if (!inos.empty()) static_cast<void>(notifier_.prune(inos));
}

// The open file that a request names, or, for a node without a path, any that is open; null if none is.
const OpenFile* Adapter::file_of(const Context& context, Ino ino, const OpenFile* file, const Path& path) {
  if (file != nullptr || !path.empty()) return file;
  const auto handle = files_.any(ino);
  if (!handle) return nullptr;
  return new (memory_of(context, sizeof(OpenFile)).data()) OpenFile{*handle, {}, {}};
}

}  // namespace path

Result<Ino> PathNotifier::node(std::string_view path) const {
  const auto nodes = nodes_.lock();
  if (nodes == nullptr) return Error{ENOTCONN};
  const auto found = nodes->find(path);
  if (!found) return found.error();
  if (found->node == nullptr) return Error{ENOENT};
  return found->node->ino();
}

namespace {

// What `tell(Ino)` answers for the node of the path.
template <class Tell>
Result<void> about_node(const PathNotifier& notifier, std::string_view path, Tell tell) {
  const auto ino = notifier.node(path);
  if (!ino) return ino.error();
  return tell(*ino);
}

// What `tell(parent, name, node)` answers for the last component.
template <class Tell>
Result<void> about_name(const std::weak_ptr<detail::NodesByPath>& by_path, std::string_view path, Tell tell) {
  const auto nodes = by_path.lock();
  if (nodes == nullptr) return Error{ENOTCONN};
  const auto found = nodes->find(path);
  if (!found) return found.error();
  if (found->name.empty()) return Error{EINVAL, "the root has no name"};
  return tell(found->parent, found->name, found->node != nullptr ? found->node->ino() : Ino{});
}

}  // namespace

Result<void> PathNotifier::inval_attributes(std::string_view path) const {
  return about_node(*this, path, [this](Ino ino) { return notifier_.inval_attributes(ino); });
}

Result<void> PathNotifier::inval_inode(std::string_view path, std::uint64_t offset, std::uint64_t size) const {
  return about_node(*this, path, [&](Ino ino) { return notifier_.inval_inode(ino, offset, size); });
}

Result<void> PathNotifier::inval_entry(std::string_view path) const {
  return about_name(nodes_, path,
                    [this](Ino parent, std::string_view name, Ino) { return notifier_.inval_entry(parent, name); });
}

Result<void> PathNotifier::expire_entry(std::string_view path) const {
  return about_name(nodes_, path,
                    [this](Ino parent, std::string_view name, Ino) { return notifier_.expire_entry(parent, name); });
}

Result<void> PathNotifier::deleted(std::string_view path) const {
  return about_name(nodes_, path, [this](Ino parent, std::string_view name, Ino node) -> Result<void> {
    if (node == Ino{}) return Error{ENOENT};
    return notifier_.deleted(parent, node, name);
  });
}

Result<void> PathNotifier::store(std::string_view path, std::uint64_t offset, Bytes bytes) const {
  return about_node(*this, path, [&](Ino ino) { return notifier_.store(ino, offset, bytes); });
}

Result<void> PathNotifier::retrieve(std::string_view path, Range range,
                                    std::function<void(std::uint64_t offset, Bytes bytes)> done) const {
  return about_node(*this, path, [&](Ino ino) { return notifier_.retrieve(ino, range, std::move(done)); });
}

Result<void> PathNotifier::prune(std::string_view path) const {
  return about_node(*this, path, [this](Ino ino) { return notifier_.prune(std::span(&ino, 1)); });
}

}  // namespace fuselage
