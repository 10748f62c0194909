/* Command lines with options: what of argv belongs to whom.
 *
 * Part of the C interface of FUSE 2.9. C90, C++98 and later. */
#ifndef FUSELAGE_FUSE2_OPT_H
#define FUSELAGE_FUSE2_OPT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One row of a table that ends with FUSE_OPT_END.
 *
 * templ   "-x", "--long", "name" (inside -o), "name=" and "-x " (with a parameter), "name=%u" and "-x %s" (with a
 *         parameter that is stored as the format of scanf(3) says; %s stores a copy made with malloc(3)).
 * offset  Where in the data given to fuse_opt_parse to store: `value` as an int for templates without a format, the
 *         parameter for those with one. -1U: do not store, call the function with the key `value`. */
struct fuse_opt {
  const char* templ;
  unsigned long offset;
  int value;
};

#define FUSE_OPT_KEY(templ, key) \
  { templ, 0xffffffffU, key }
#define FUSE_OPT_END \
  { NULL, 0, 0 }

/* An argument list; argv has a NULL behind the last one. allocated: argv and its strings are from malloc(3). */
struct fuse_args {
  int argc;
  char** argv;
  int allocated;
};

#define FUSE_ARGS_INIT(argc, argv) \
  { argc, argv, 0 }

#define FUSE_OPT_KEY_OPT -1     /* for the function: an option without a row */
#define FUSE_OPT_KEY_NONOPT -2  /* for the function: not an option */
#define FUSE_OPT_KEY_KEEP -3    /* in a row: leave it in the list, without calling the function */
#define FUSE_OPT_KEY_DISCARD -4 /* in a row: drop it */

/* Called for what no row stores. arg: the argument, or one option of -o. Returns -1: stop with an error, 0: drop it,
 * 1: keep it in `outargs`, to which more may be added. */
typedef int (*fuse_opt_proc_t)(void* data, const char* arg, int key, struct fuse_args* outargs);

/* Sorts the arguments by the table; `args` holds what is kept afterwards, options of -o joined in front. Every row that
 * matches takes effect. Without a table or function everything that would have gone there is kept. 0, or -1 with a
 * message on stderr. */
int fuse_opt_parse(struct fuse_args* args, void* data, const struct fuse_opt opts[], fuse_opt_proc_t proc);

/* Appends `,opt` to a string from malloc(3) (or begins one where *opts is NULL). 0, or -1: no memory. */
int fuse_opt_add_opt(char** opts, const char* opt);

/* The same with a backslash before commas and backslashes of `opt`. */
int fuse_opt_add_opt_escaped(char** opts, const char* opt);

/* Appends a copy of `arg` to the list. 0, or -1: no memory. */
int fuse_opt_add_arg(struct fuse_args* args, const char* arg);

/* Inserts a copy of `arg` so that it becomes argv[pos]. 0, or -1: no memory. */
int fuse_opt_insert_arg(struct fuse_args* args, int pos, const char* arg);

/* Frees what the list owns, and empties it. */
void fuse_opt_free_args(struct fuse_args* args);

/* 1 if some row's template matches `opt`, else 0. */
int fuse_opt_match(const struct fuse_opt opts[], const char* opt);

#ifdef __cplusplus
}
#endif

#endif
