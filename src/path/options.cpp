#include <fuselage/path_options.hpp>

namespace fuselage {

void add_path_options(OptionSet& table, PathOptions& options) {
  table.flag("use_ino", &options.use_ino, "st_ino is what the file system says")
      .flag("hard_links", &options.hard_links, "names with equal inode numbers are one node")
      .flag("readdir_ino", &options.readdir_ino, "readdir(3) shows the inode numbers that are known")
      .flag("hide_removed", &options.hide_removed, "an open file that loses its last name is renamed and removed later")
      .flag("omit_paths", &options.omit_paths, "operations on open files do without a path")
      .value("negative_timeout", &options.negative_timeout,
             "how long the kernel may believe that there is no such name")
      .flag("kernel_cache", &options.kernel_cache, "keep cached data when a file is opened")
      .flag("auto_cache", &options.auto_cache, "the same, if its time and size have not changed")
      .value("ac_attr_timeout", &options.ac_attr_timeout, "how old attributes may be for auto_cache")
      .flag("direct_io", &options.direct_io, "bypass the page cache")
      .octal("umask", &options.umask, "show permissions without these bits")
      .value("uid", &options.uid, "show this owner")
      .value("gid", &options.gid, "show this group")
      .value("remember", &options.remember, "keep nodes that the kernel forgot for so long")
      .flag(
          "noforget", [&options] { options.remember = PathOptions::for_ever; }, "the same for ever")
      .value("max_nodes", &options.max_nodes, "ask the kernel to let go of nodes when there are more");
}

}  // namespace fuselage
