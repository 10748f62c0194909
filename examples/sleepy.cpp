// A file system that waits: handlers as coroutines. While one waits, no thread does, and interrupts end the wait.
#include <fstream>
#include <fuselage/fuselage.hpp>
#include <iterator>
#include <string>

using namespace fuselage;

class Sleepy : public FileSystem {
 public:
  void options(OptionSet& table) { table.value("delay", &delay_, "how long each read takes"); }

  Reply<Entry> lookup(const Context&, Ino parent, std::string_view name) override {
    if (parent != root_ino) return Error{ENOENT};
    if (name == "dream") return entry(dream);
    if (name == "load") return entry(load);
    return Error{ENOENT};
  }
  Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override { return attributes(ino); }
  Reply<void> readdir(const Context&, Ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) override {
    if (offset < 1 && !sink.add("dream", dream, FileType::regular, 1)) return {};
    if (offset < 2) sink.add("load", load, FileType::regular, 2);
    return {};
  }
  // The size is not known before the file is read, so the page cache, which trusts it, is left out.
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }

  Reply<Data> read(const Context& context, Ino ino, const OpenFile&, Range range) override {
    // EINTR if the reader was interrupted or the file system is being unmounted.
    if (const Result<void> slept = co_await sleep_for(context, delay_); !slept) co_return slept.error();
    if (ino == dream) co_return Data::borrow(slice(std::string_view("It was all a dream.\n"), range));
    // What blocks goes to a thread of its own, and nobody else waits for it.
    const Result<std::string> text = co_await run_blocking(context, [] {
      std::ifstream file("/proc/loadavg");
      return std::string(std::istreambuf_iterator<char>(file), {});
    });
    if (!text) co_return text.error();
    co_return Data::own(std::string(text_of(slice(*text, range))));
  }

 private:
  static constexpr Ino dream{2};
  static constexpr Ino load{3};

  static Attributes attributes(Ino ino) { return ino == root_ino ? Attributes::directory() : Attributes::file(0); }
  static Entry entry(Ino ino) { return Entry{ino, 0, attributes(ino), {}}; }

  std::chrono::milliseconds delay_{1000};
};

int main(int argc, char** argv) { return fuselage::run<Sleepy>(argc, argv); }
