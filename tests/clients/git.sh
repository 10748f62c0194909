# A repository is cloned into the mount, worked with, checked and packed.
# shellcheck shell=bash disable=SC2154
need git
export GIT_CONFIG_NOSYSTEM=1 GIT_PROGRESS_DELAY=1000 HOME=$scratch
git config --global user.name Tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git config --global --add safe.directory '*'

origin=$scratch/origin
git init -q "$origin"
cp -r /usr/include/linux "$origin/"
git -C "$origin" add .
git -C "$origin" commit -qm first
git -C "$origin" mv linux renamed
ln -s renamed/fs.h "$origin/link"
git -C "$origin" add .
git -C "$origin" commit -qm second

git clone -q "file://$origin" clone
cd clone || fail "no clone"
diff -r --no-dereference --exclude=.git . "$origin"
git fsck --full --strict --no-progress
[[ -z $(git status --porcelain) ]] || fail "a fresh clone is not clean: $(git status --porcelain)"

git checkout -qb work
sed -i 's/struct/STRUCT/' renamed/*.h
git rm -q link
echo new >new
git add .
git commit -qm third
git checkout -q main
[[ -L link && ! -e new ]] || fail "checkout did not restore the tree"
git merge -q --no-edit work
git tag merged
git gc -q --prune=now
git fsck --full --strict --no-progress
git worktree add -q ../tree HEAD~1
diff -r --no-dereference --exclude=.git ../tree "$origin"
git push -q origin main:pushed
[[ $(git -C "$origin" rev-parse pushed) == $(git rev-parse merged) ]] || fail "the push lost something"
[[ -z $(git status --porcelain) ]] || fail "not clean: $(git status --porcelain)"
