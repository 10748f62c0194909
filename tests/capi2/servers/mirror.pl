# Shows a directory at another place, on Debian's libfuse-perl: mirror.pl DIRECTORY MOUNTPOINT [threaded]
use strict;
use warnings;
use threads;
use Fcntl qw(:mode :seek);
use Fuse;
use POSIX ();
use threads::shared;

my ($directory, $mountpoint, $threaded) = @ARGV;
my %attributes :shared;  # by path and name: Perl has no calls for the system's

# Answers 0, or why not.
sub done { return $_[0] ? 0 : -$! }

sub opened {
  my ($mode, $path, $offset) = @_;
  open(my $file, $mode, "$directory$path") or return;
  seek $file, $offset, SEEK_SET;
  return $file;
}

sub x_getattr { my @status = lstat "$directory$_[0]"; return @status ? @status : -$! }
sub x_getdir { opendir(my $entries, "$directory$_[0]") or return -$!; return (readdir $entries, 0) }
sub x_mknod { return done(sysopen my $file, "$directory$_[0]", POSIX::O_CREAT() | POSIX::O_EXCL(), S_IMODE($_[1])) }
sub x_mkdir { return done(mkdir "$directory$_[0]", $_[1]) }
sub x_unlink { return done(unlink "$directory$_[0]") }
sub x_rmdir { return done(rmdir "$directory$_[0]") }
sub x_symlink { return done(symlink $_[0], "$directory$_[1]") }
sub x_readlink { return readlink("$directory$_[0]") // -$! }
sub x_link { return done(link "$directory$_[0]", "$directory$_[1]") }
sub x_rename { return done(rename "$directory$_[0]", "$directory$_[1]") }
sub x_chmod { return done(chmod $_[1], "$directory$_[0]") }
sub x_utime { return done(utime $_[1], $_[2], "$directory$_[0]") }
sub x_truncate { return done(truncate "$directory$_[0]", $_[1]) }
sub x_open { return done(-e "$directory$_[0]") }

sub x_setxattr { $attributes{"$_[0] $_[1]"} = $_[2]; return 0 }
sub x_getxattr { return $attributes{"$_[0] $_[1]"} // -POSIX::ENODATA() }
sub x_listxattr { my ($path) = @_; return ((map { /^\Q$path\E (.*)/ ? $1 : () } keys %attributes), 0) }
sub x_removexattr { return delete $attributes{"$_[0] $_[1]"} ? 0 : -POSIX::ENODATA() }

sub x_read {
  my ($path, $size, $offset) = @_;
  my $file = opened("<:raw", $path, $offset) or return -$!;
  read($file, my $bytes, $size);
  return $bytes;
}

sub x_write {
  my ($path, $bytes, $offset) = @_;
  my $file = opened("+<:raw", $path, $offset) or return -$!;
  print $file $bytes;
  return done(close $file) || length $bytes;
}

my @operations = qw(getattr getdir mknod mkdir unlink rmdir symlink readlink link rename chmod utime truncate setxattr
  getxattr listxattr removexattr open read write);
Fuse::main(mountpoint => $mountpoint, threaded => $threaded ? 1 : 0, map { $_ => "main::x_$_" } @operations);
