/*
 * conftable: the settings, one row each.
 *
 * Layer text.  conf reads them, voip.conf(5) and etc/voip.conf describe them
 * in the same order; a test compares the three.
 */
#ifndef CONFTABLE_H
#define CONFTABLE_H

#include "confvalue.h"

/* Ends with a NULL name.  `*` in a name stands for what the site chooses. */
extern const struct conf_row conf_rows[];

/* The row of that exact name, or NULL. */
const struct conf_row *conf_row_find(const char *name);

/* The name most like a misspelt one, or NULL. */
const char *conf_row_suggest(const char *name);

#endif
