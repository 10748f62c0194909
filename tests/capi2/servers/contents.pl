# Files in memory, on Debian's module Fuse.
use strict;
use warnings;
use Fcntl qw(:mode);
use Fuse;
use POSIX qw(:errno_h);

my %content = ("/hello" => "hello\n");

sub attributes {
  my ($mode, $links, $size) = @_;
  return (0, 0, $mode, $links, $<, 0, 0, $size, 0, 0, 0, 4096, 0);
}

Fuse::main(
  mountpoint => $ARGV[0],
  getattr => sub {
    my ($path) = @_;
    return attributes(S_IFDIR | 0755, 2, 0) if $path eq "/";
    return -ENOENT() unless exists $content{$path};
    return attributes(S_IFREG | 0644, 1, length $content{$path});
  },
  getdir => sub { return (".", "..", (map { substr $_, 1 } keys %content), 0) },
  mknod => sub { $content{$_[0]} = ""; return 0 },
  open => sub { return 0 },
  read => sub { my ($path, $size, $offset) = @_; return substr $content{$path}, $offset, $size },
  write => sub {
    my ($path, $bytes, $offset) = @_;
    substr($content{$path}, $offset, length $bytes) = $bytes;
    return length $bytes;
  },
  truncate => sub {
    my ($path, $size) = @_;
    $content{$path} = pack "a$size", $content{$path};
    return 0;
  },
  rename => sub { $content{$_[1]} = delete $content{$_[0]}; return 0 },
  unlink => sub { delete $content{$_[0]}; return 0 },
);
