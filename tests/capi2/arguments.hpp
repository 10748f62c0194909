// A command line for fuse_opt_parse and what takes such lists. After the header that says which interface it is.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fuselage::test {

class Arguments {
 public:
  explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
    args = FUSE_ARGS_INIT(static_cast<int>(words_.size()), pointers_.data());
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;
  ~Arguments() { fuse_opt_free_args(&args); }
  std::vector<std::string> rest() const { return {args.argv, args.argv + args.argc}; }

  fuse_args args{};

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

}  // namespace fuselage::test
