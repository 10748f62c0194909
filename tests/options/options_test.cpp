#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fuselage/options.hpp>

namespace fuselage {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

enum class Colour { red, green };

struct Everything {
  bool loud = false;
  std::uint32_t number = 0;
  std::int64_t offset = 0;
  std::uint64_t size = 0;
  std::optional<std::uint32_t> limit;
  unsigned mask = 0;
  milliseconds delay{};
  std::string text;
  std::filesystem::path path;
  bool answer = false;
  Colour colour = Colour::red;
};

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    table.flag("loud", &it.loud, "speak up")
        .flag("quiet", &it.loud, "speak low", false)
        .value("number", &it.number, "any number")
        .value("offset", &it.offset, "signed")
        .bytes("size", &it.size, "capacity")
        .bytes("limit", &it.limit, "perhaps")
        .octal("umask", &it.mask, "permissions")
        .value("delay", &it.delay, "wait")
        .value("text", &it.text, "words")
        .value("path", &it.path, "a file")
        .value("answer", &it.answer, "a decision")
        .choice<Colour>("colour", &it.colour, {{"red", Colour::red}, {"green", Colour::green}}, "paint")
        .ignore("_netdev")
        .ignore("x-*");
  }

  std::string error(std::string_view options) {
    const auto parsed = table.parse(options);
    if (parsed) return "no error";
    EXPECT_EQ(parsed.error().code(), EINVAL);
    return parsed.error().message();
  }

  Everything it;
  OptionSet table;
};

TEST_F(OptionsTest, every_type_is_stored) {
  const auto parsed = table.parse(
      "loud,number=0x10,offset=-5,size=3M,limit=64k,umask=022,delay=1.25,text=hello world,path=/a/b,answer=yes,"
      "colour=green");
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_TRUE(it.loud);
  EXPECT_EQ(it.number, 16u);
  EXPECT_EQ(it.offset, -5);
  EXPECT_EQ(it.size, 3u << 20);
  EXPECT_EQ(it.limit, 65536u);
  EXPECT_EQ(it.mask, 022u);
  EXPECT_EQ(it.delay, milliseconds(1250));
  EXPECT_EQ(it.text, "hello world");
  EXPECT_EQ(it.path, "/a/b");
  EXPECT_TRUE(it.answer);
  EXPECT_EQ(it.colour, Colour::green);
}

TEST_F(OptionsTest, the_last_one_wins) {
  ASSERT_TRUE(table.parse("loud,number=1,number=2,quiet"));
  EXPECT_FALSE(it.loud);
  EXPECT_EQ(it.number, 2u);
  ASSERT_TRUE(table.parse("number=3"));
  EXPECT_EQ(it.number, 3u);
}

TEST_F(OptionsTest, escaped_and_quoted_commas_belong_to_the_value) {
  ASSERT_TRUE(table.parse(R"(text=a\,b\\c\d,number=1)"));
  EXPECT_EQ(it.text, R"(a,b\c\d)");
  ASSERT_TRUE(table.parse(R"(text="x:c1,c2",number=2)"));
  EXPECT_EQ(it.text, "x:c1,c2");
  EXPECT_EQ(it.number, 2u);
  ASSERT_TRUE(table.parse(R"(text=say "hi")"));
  EXPECT_EQ(it.text, R"(say "hi")");
  ASSERT_TRUE(table.parse("text=a=b"));
  EXPECT_EQ(it.text, "a=b");
  ASSERT_TRUE(table.parse("text="));
  EXPECT_EQ(it.text, "");
}

TEST_F(OptionsTest, empty_options_mean_nothing) {
  EXPECT_TRUE(table.parse(""));
  EXPECT_TRUE(table.parse(",,loud,"));
  EXPECT_TRUE(it.loud);
}

TEST_F(OptionsTest, an_unknown_name_is_told_with_the_nearest_valid_one) {
  EXPECT_EQ(error("laud"), "unknown option 'laud'; did you mean 'loud'?");
  EXPECT_EQ(error("numbr=3"), "unknown option 'numbr'; did you mean 'number=N'?");
  EXPECT_EQ(error("color=red"), "unknown option 'color'; did you mean 'colour=red|green'?");
  OptionSet empty;
  EXPECT_EQ(empty.parse("x").error().message(), "unknown option 'x'");
}

TEST_F(OptionsTest, a_value_of_the_wrong_type_is_told_with_what_was_expected) {
  EXPECT_EQ(error("number=many"), "option 'number=many': expected a number from 0 to 4294967295");
  EXPECT_THAT(error("number=-1"), HasSubstr("from 0 to"));
  EXPECT_THAT(error("number=4294967296"), HasSubstr("from 0 to"));
  EXPECT_THAT(error("number="), HasSubstr("from 0 to"));
  EXPECT_THAT(error("number=1 "), HasSubstr("from 0 to"));
  EXPECT_THAT(error("offset=1.5"), HasSubstr("expected a number from -9223372036854775808"));
  EXPECT_THAT(error("size=M"), HasSubstr("like 4096, 64K"));
  EXPECT_THAT(error("size=99999999999999T"), HasSubstr("like 4096, 64K"));
  EXPECT_THAT(error("limit=4G"), HasSubstr("up to 4294967295"));
  EXPECT_THAT(error("umask=8"), HasSubstr("octal number"));
  EXPECT_THAT(error("umask=10000"), HasSubstr("octal number"));
  EXPECT_THAT(error("answer=maybe"), HasSubstr("yes or no"));
  EXPECT_EQ(error("colour=blue"), "option 'colour=blue': expected red|green");
  for (const char* delay : {"delay=-1", "delay=nan", "delay=inf", "delay=1e30", "delay=1s", "delay="}) {
    EXPECT_THAT(error(delay), HasSubstr("a number of seconds")) << delay;
  }
}

TEST_F(OptionsTest, a_value_is_neither_missing_nor_superfluous) {
  EXPECT_EQ(error("number"), "option 'number' needs a value: 'number=N'");
  EXPECT_EQ(error("loud=yes"), "option 'loud' takes no value: 'loud' instead of 'loud=yes'");
}

TEST_F(OptionsTest, ignored_names_are_accepted_in_any_form) {
  EXPECT_TRUE(table.parse("_netdev,_netdev=3,x-systemd.automount,x-gvfs-name=My Disk"));
  EXPECT_THAT(error("_netdeu"), HasSubstr("unknown option"));
}

TEST_F(OptionsTest, a_relative_path_becomes_absolute) {
  ASSERT_TRUE(table.parse("path=here"));
  EXPECT_EQ(it.path, std::filesystem::current_path() / "here");
}

TEST_F(OptionsTest, durations_fit_their_unit) {
  std::chrono::seconds whole{};
  std::chrono::duration<double> fraction{};
  std::chrono::duration<std::uint8_t> tiny{};
  table.value("whole", &whole, "").value("fraction", &fraction, "").value("tiny", &tiny, "");
  ASSERT_TRUE(table.parse("whole=2.9,fraction=0.1,tiny=255"));
  EXPECT_EQ(whole.count(), 2);
  EXPECT_DOUBLE_EQ(fraction.count(), 0.1);
  EXPECT_EQ(tiny.count(), 255);
  EXPECT_THAT(error("tiny=256"), HasSubstr("up to 255"));
}

TEST_F(OptionsTest, a_later_row_replaces_the_earlier_one) {
  std::string mine;
  table.value("number", &mine, "a name now");
  ASSERT_TRUE(table.parse("number=seven"));
  EXPECT_EQ(mine, "seven");
  EXPECT_EQ(it.number, 0u);
}

TEST_F(OptionsTest, a_setter_of_ones_own) {
  std::vector<std::string> layers;
  table.custom(
      "layer", "NAME",
      [&](std::string_view text) -> Result<void> {
        if (text.empty()) return Error{EINVAL, "the name of a layer"};
        layers.emplace_back(text);
        return {};
      },
      "stack a layer");
  ASSERT_TRUE(table.parse("layer=a,layer=b"));
  EXPECT_THAT(layers, ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(error("layer="), "option 'layer=': expected the name of a layer");
}

TEST_F(OptionsTest, help_has_a_line_for_each_option) {
  EXPECT_THAT(table.help(), HasSubstr("  loud              speak up\n"));
  EXPECT_THAT(table.help(), HasSubstr("  colour=red|green  paint\n"));
  EXPECT_THAT(table.help(), ::testing::Not(HasSubstr("_netdev")));
}

}  // namespace
}  // namespace fuselage
