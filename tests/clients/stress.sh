# The file-system stressors of stress-ng, each for some seconds, with what they verify.
# shellcheck shell=bash disable=SC2154
need stress-ng
stressors=(access aio chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl fiemap file-ioctl
  filename flock fpunch fsize fstat getdent hdd inode-flags inotify io iomix lease link locka lockf lockofd mknod mmap
  msync open punch readahead rename revio seek sendfile symlink sync-file truncate utime xattr)
for stressor in "${stressors[@]}"; do
  # What this version of stress-ng does not know is left out.
  stress-ng --"$stressor" 1 --timeout 0.1 --temp-path "$scratch" --dry-run >/dev/null 2>&1 || continue
  extra=()
  case $stressor in
    hdd) extra=(--hdd-bytes 32m) ;;
    fallocate) extra=(--fallocate-bytes 32m) ;;
    aio | iomix) extra=(--iomix-bytes 32m) ;;
    mmap) extra=(--mmap-file --mmap-bytes 16m) ;;
    seek) extra=(--seek-size 32m) ;;
    sync-file) extra=(--sync-file-bytes 32m) ;;
    copy-file) extra=(--copy-file-bytes 128m) ;;
    filename) extra=(--filename-opts posix) ;;
    readahead) extra=(--readahead-bytes 32m) ;;
    revio) extra=(--revio-bytes 32m) ;;
  esac
  stress-ng --"$stressor" 2 "${extra[@]}" --verify --timeout 3s --temp-path "$mnt" --oomable --no-rand-seed \
    >"$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    fail "$stressor"
  }
  left=$(find "$mnt" -mindepth 1 | head -n 3)
  [[ -z $left ]] || {
    echo "$stressor left $left"
    rm -rf "${mnt:?}"/*
  }
done
