#include "mount/mount_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace fuselage {
namespace {

using ::testing::HasSubstr;

MountOptions parsed(std::string_view text) {
  MountOptions options;
  OptionSet table;
  add_mount_options(table, options);
  const auto result = table.parse(text);
  EXPECT_TRUE(result) << result.error().message();
  return options;
}

std::string owner() { return ",user_id=" + std::to_string(::getuid()) + ",group_id=" + std::to_string(::getgid()); }

TEST(mount_options, every_generic_option_has_its_bit) {
  EXPECT_EQ(mounting::mount_flags({}), MS_NOSUID | MS_NODEV);
  EXPECT_EQ(mounting::mount_flags(parsed("suid,dev")), 0u);
  const std::pair<const char*, unsigned long> bits[] = {{"ro", MS_RDONLY},         {"noexec", MS_NOEXEC},
                                                        {"sync", MS_SYNCHRONOUS},  {"dirsync", MS_DIRSYNC},
                                                        {"noatime", MS_NOATIME},   {"nodiratime", MS_NODIRATIME},
                                                        {"relatime", MS_RELATIME}, {"strictatime", MS_STRICTATIME},
                                                        {"nosymfollow", 256},      {"lazytime", MS_LAZYTIME}};
  for (const auto& [name, bit] : bits) {
    EXPECT_EQ(mounting::mount_flags(parsed("suid,dev," + std::string(name))), bit) << name;
  }
  EXPECT_EQ(mounting::mount_flags(parsed("suid,dev,ro,noexec,sync,noatime,nodiratime,relatime,strictatime,nosymfollow,"
                                         "lazytime,rw,exec,async,atime,diratime,norelatime,nostrictatime,symfollow,"
                                         "nolazytime")),
            0u);
}

TEST(mount_options, the_kernel_is_told_in_its_own_words) {
  EXPECT_EQ(mounting::mount_data({}, 7, S_IFDIR), "fd=7,rootmode=40000" + owner());
  EXPECT_EQ(mounting::mount_data(parsed("allow_root,default_permissions,max_read=128K"), 7, S_IFREG),
            "fd=7,rootmode=100000" + owner() + ",allow_other,default_permissions,max_read=131072");
  EXPECT_THAT(mounting::mount_data(parsed(R"(context="u:r:t:s0:c1,c2")"), 7, S_IFDIR),
              HasSubstr(R"(,context="u:r:t:s0:c1,c2")"));
}

TEST(mount_options, type_and_source) {
  EXPECT_EQ(mounting::mount_type({}), "fuse");
  EXPECT_EQ(mounting::mount_source({}), "fuse");
  const auto named = parsed("subtype=memory");
  EXPECT_EQ(mounting::mount_type(named), "fuse.memory");
  EXPECT_EQ(mounting::mount_source(named), "memory");
  const auto disk = parsed("blkdev,fsname=/dev/sdb1,subtype=ntfs");
  EXPECT_EQ(mounting::mount_type(disk), "fuseblk.ntfs");
  EXPECT_EQ(mounting::mount_source(disk), "/dev/sdb1");
}

TEST(mount_options, the_helper_is_told_what_differs_from_its_defaults) {
  EXPECT_EQ(mounting::helper_options({}), "fsname=fuse");
  EXPECT_EQ(mounting::helper_options(parsed(R"(fsname=a\,b\\c,subtype=t,ro,noexec,noatime,lazytime,auto_unmount)")),
            R"(fsname=a\,b\\c,subtype=t,ro,noexec)");
  EXPECT_EQ(mounting::helper_options(parsed("allow_other,allow_root,max_read=4096")),
            "fsname=fuse,allow_other,max_read=4096");
}

TEST(mount_options, what_mount_and_fstab_add_is_accepted) {
  parsed("defaults,nofail,_netdev,user=joe,user,noauto,x-systemd.requires=a.service,comment=hi there,X-mount.mkdir");
}

TEST(mount_options, a_misspelt_one_is_told_with_the_right_one) {
  MountOptions options;
  OptionSet table;
  add_mount_options(table, options);
  EXPECT_EQ(table.parse("alow_other").error().message(), "unknown option 'alow_other'; did you mean 'allow_other'?");
  EXPECT_EQ(table.parse("max_raed=1").error().message(), "unknown option 'max_raed'; did you mean 'max_read=BYTES'?");
}

TEST(mount_options, contradictions_are_found_before_mounting) {
  EXPECT_TRUE(mounting::check({}));
  EXPECT_THAT(mounting::check(parsed("blkdev")).error().message(), HasSubstr("fsname="));
  EXPECT_THAT(mounting::check(parsed("blksize=512")).error().message(), HasSubstr("blkdev"));
  EXPECT_TRUE(mounting::check(parsed("blksize=512,blkdev,fsname=/dev/sda")));
}

}  // namespace
}  // namespace fuselage
