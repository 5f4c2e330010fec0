/*
 * dialplanask: what the dialplan asks the database, and what it gets.
 *
 * Layer domain.  One statement for a call: who calls, what the number leads to
 * (voip.route()), what is recorded and limited, and the trunks in the order in
 * which they are tried; a row for each trunk, one row without.
 */
#ifndef DIALPLANASK_H
#define DIALPLANASK_H

#include "answer.h"

extern const char dialplanask_sql[];
/* Every number of the tenant $1. */
extern const char dialplanask_sql_whole[];

/* Believe or refuse, and fill the parameters. */
bool
dialplanask(struct question *q, struct lookup *l, const struct fs_settings *s);

/* One row; text as in the database, NULL for null, flags "t" or "f". */
/* clang-format off */
#define DIALPLAN_COLUMNS(X)                                                  \
	X(matched) X(type) X(number) X(expression)                           \
	X(user) X(user_max_calls) X(queue) X(ivr) X(box) X(conference)       \
	X(caller) X(caller_number) X(caller_name) X(caller_max_calls)        \
	X(caller_box) X(caller_box_has_pin) X(accountcode)                   \
	X(out_name) X(out_number) X(domain_max_calls)                        \
	X(record_inbound) X(record_outbound) X(record_internal)              \
	X(queue_records) X(strip)                                            \
	X(trunk) X(prefix) X(trunk_max_calls) X(trunk_name) X(trunk_number)
/* clang-format on */

#define DIALPLAN_MEMBER(column) const char *column;
struct dialplan_row {
	DIALPLAN_COLUMNS(DIALPLAN_MEMBER)
};
#undef DIALPLAN_MEMBER

void
dialplanask_row(struct dialplan_row *to, const struct db_result *r, int row);

#endif
