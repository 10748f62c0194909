// fuse_opt_*: argument lists and what of them belongs to whom.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "capi/v2/api.hpp"

namespace {

using fuselage::capi2::complain;

constexpr unsigned long no_offset = 0xffffffffU;  // of rows that store nothing

// The list with every string of its own, so that it can grow.
bool own(fuse_args* args) {
  if (args->allocated != 0) return true;
  auto** const argv = static_cast<char**>(std::calloc(static_cast<std::size_t>(args->argc) + 1, sizeof(char*)));
  if (argv == nullptr) return false;
  for (int i = 0; i < args->argc; ++i) {
    argv[i] = ::strdup(args->argv[i]);
    if (argv[i] == nullptr) return false;
  }
  args->argv = argv;
  args->allocated = 1;
  return true;
}

int add_option(char** opts, std::string_view opt, bool escape) {
  std::string text = *opts != nullptr ? std::string(*opts) + "," : std::string();
  for (const char c : opt) {
    if (escape && (c == ',' || c == '\\')) text += '\\';
    text += c;
  }
  auto* const grown = static_cast<char*>(std::realloc(*opts, text.size() + 1));
  if (grown == nullptr) return -1;
  std::memcpy(grown, text.c_str(), text.size() + 1);
  *opts = grown;
  return 0;
}

// Where the parameter of a template begins: at '=' or ' ', if nothing or a format follows. npos: it takes none.
std::size_t separator(std::string_view templ) {
  const std::size_t equals = templ.find('=');
  const std::size_t at = equals != templ.npos ? equals : templ.find(' ');
  if (at == templ.npos || (at + 1 < templ.size() && templ[at + 1] != '%')) return templ.npos;
  return at;
}

struct Match {
  bool matches = false;
  std::size_t separator = 0;  // 0: no parameter
};

Match match(std::string_view templ, std::string_view arg) {
  const std::size_t at = separator(templ);
  if (at != templ.npos &&
      arg.substr(0, templ[at] == '=' ? at + 1 : at) == templ.substr(0, templ[at] == '=' ? at + 1 : at)) {
    return {true, at};
  }
  return {templ == arg, 0};
}

// One call of fuse_opt_parse.
class Parser {
 public:
  Parser(fuse_args* args, void* data, const fuse_opt* rows, fuse_opt_proc_t proc)
      : args_(args), data_(data), rows_(rows), proc_(proc) {}
  ~Parser() {
    std::free(options_);
    fuse_opt_free_args(&kept_);
  }

  int parse() {
    if (fuse_opt_add_arg(&kept_, args_->argv[0]) != 0) return -1;
    for (next_ = 1; next_ < args_->argc; ++next_) {
      if (argument(args_->argv[next_]) != 0) return -1;
    }
    if (ends_with_separator()) drop_last();
    if (options_ != nullptr &&
        (fuse_opt_insert_arg(&kept_, 1, "-o") != 0 || fuse_opt_insert_arg(&kept_, 2, options_) != 0)) {
      return -1;
    }
    std::swap(*args_, kept_);
    return 0;
  }

 private:
  int argument(const char* arg) {
    if (after_separator_ || arg[0] != '-') return ask(arg, FUSE_OPT_KEY_NONOPT, false);
    if (arg[1] == 'o') {
      if (arg[2] != '\0') return group(arg + 2);
      const char* const parameter = take_next(arg);
      return parameter != nullptr ? group(parameter) : -1;
    }
    if (std::string_view(arg) == "--") {
      after_separator_ = true;
      return fuse_opt_add_arg(&kept_, arg);
    }
    return option(arg, false);
  }

  const char* take_next(const char* arg) {
    if (next_ + 1 < args_->argc) return args_->argv[++next_];
    complain("missing argument after '{}'", arg);
    return nullptr;
  }

  // What stands behind -o: separated by commas; a backslash takes the next character, or three octal digits, as it is.
  int group(std::string_view text) {
    std::string item;
    for (std::size_t i = 0;; ++i) {
      if (i >= text.size() || text[i] == ',') {
        if (option(item.c_str(), true) != 0) return -1;
        if (i >= text.size()) return 0;
        item.clear();
      } else if (text[i] == '\\' && i + 1 < text.size()) {
        const auto octal = [&](std::size_t at, char most) {
          return at < text.size() && text[at] >= '0' && text[at] <= most;
        };
        if (octal(i + 1, '3') && octal(i + 2, '7') && octal(i + 3, '7')) {
          item += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
          i += 3;
        } else {
          item += text[++i];
        }
      } else {
        item += text[i];
      }
    }
  }

  int option(const char* arg, bool in_group) {
    bool found = false;
    for (const fuse_opt* row = rows_; row != nullptr && row->templ != nullptr; ++row) {
      const Match matched = match(row->templ, arg);
      if (!matched.matches) continue;
      found = true;
      if (apply(*row, matched.separator, arg, in_group) != 0) return -1;
    }
    return found ? 0 : ask(arg, FUSE_OPT_KEY_OPT, in_group);
  }

  int apply(const fuse_opt& row, std::size_t separator, const char* arg, bool in_group) {
    std::string joined;
    if (separator != 0 && row.templ[separator] == ' ' && arg[separator] == '\0') {
      const char* const parameter = take_next(arg);
      if (parameter == nullptr) return -1;
      joined = std::string(arg) + parameter;
      arg = joined.c_str();
    }
    if (row.offset == no_offset) return ask(arg, row.value, in_group);
    void* const target = static_cast<char*>(data_) + row.offset;
    if (separator == 0 || row.templ[separator + 1] == '\0') {
      *static_cast<int*>(target) = row.value;
      return 0;
    }
    return store(target, row.templ + separator + 1, arg + separator + (row.templ[separator] == '=' ? 1 : 0), arg);
  }

  static int store(void* target, const char* format, const char* parameter, const char* arg) {
    if (std::string_view(format) == "%s") {
      char* const copy = ::strdup(parameter);
      if (copy == nullptr) return -1;
      *static_cast<char**>(target) = copy;
      return 0;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (std::sscanf(parameter, format, target) == 1) return 0;
#pragma GCC diagnostic pop
    complain("invalid parameter in option '{}'", arg);
    return -1;
  }

  int ask(const char* arg, int key, bool in_group) {
    if (key == FUSE_OPT_KEY_DISCARD) return 0;
    if (key != FUSE_OPT_KEY_KEEP && proc_ != nullptr) {
      const int wish = proc_(data_, arg, key, &kept_);
      if (wish == -1 || wish == 0) return wish;
    }
    return in_group ? fuse_opt_add_opt_escaped(&options_, arg) : fuse_opt_add_arg(&kept_, arg);
  }

  bool ends_with_separator() const { return after_separator_ && std::string_view(kept_.argv[kept_.argc - 1]) == "--"; }
  void drop_last() { std::free(std::exchange(kept_.argv[--kept_.argc], nullptr)); }

  fuse_args* args_;
  void* data_;
  const fuse_opt* rows_;
  fuse_opt_proc_t proc_;
  int next_ = 1;
  bool after_separator_ = false;
  char* options_ = nullptr;
  fuse_args kept_ = FUSE_ARGS_INIT(0, nullptr);
};

}  // namespace

extern "C" {

int fuse_opt_parse(fuse_args* args, void* data, const fuse_opt opts[], fuse_opt_proc_t proc) {
  if (args == nullptr || args->argv == nullptr || args->argc == 0) return 0;
  return fuselage::capi2::guarded([&] { return Parser(args, data, opts, proc).parse(); }, -1);
}

int fuse_opt_add_opt(char** opts, const char* opt) {
  return fuselage::capi2::guarded([&] { return add_option(opts, opt, false); }, -1);
}

int fuse_opt_add_opt_escaped(char** opts, const char* opt) {
  return fuselage::capi2::guarded([&] { return add_option(opts, opt, true); }, -1);
}

int fuse_opt_add_arg(fuse_args* args, const char* arg) { return fuse_opt_insert_arg(args, args->argc, arg); }

int fuse_opt_insert_arg(fuse_args* args, int pos, const char* arg) {
  if (pos < 0 || pos > args->argc || !own(args)) return -1;
  const auto count = static_cast<std::size_t>(args->argc);
  const auto at = static_cast<std::size_t>(pos);
  char* const copy = ::strdup(arg);
  auto** const grown = static_cast<char**>(std::realloc(args->argv, (count + 2) * sizeof(char*)));
  if (grown != nullptr) args->argv = grown;
  if (copy == nullptr || grown == nullptr) {
    std::free(copy);
    complain("no memory for the arguments");
    return -1;
  }
  std::memmove(grown + at + 1, grown + at, (count - at) * sizeof(char*));
  grown[at] = copy;
  grown[count + 1] = nullptr;
  ++args->argc;
  return 0;
}

void fuse_opt_free_args(fuse_args* args) {
  if (args == nullptr) return;
  if (args->allocated != 0) {
    for (int i = 0; i < args->argc; ++i) std::free(args->argv[i]);
    std::free(static_cast<void*>(args->argv));
  }
  *args = FUSE_ARGS_INIT(0, nullptr);
}

int fuse_opt_match(const fuse_opt opts[], const char* opt) {
  for (const fuse_opt* row = opts; row != nullptr && row->templ != nullptr; ++row) {
    if (match(row->templ, opt).matches) return 1;
  }
  return 0;
}

}  // extern "C"
