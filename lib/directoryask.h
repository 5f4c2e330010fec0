/*
 * directoryask: what the directory asks the database.
 *
 * Layer domain.  The columns of users come in the order of struct
 * directory_user, with the sealed values last but for the box.
 */
#ifndef DIRECTORYASK_H
#define DIRECTORYASK_H

#include "answer.h"

extern const char directoryask_sql_user[];
extern const char directoryask_sql_users[];
extern const char directoryask_sql_sources[];
extern const char directoryask_sql_mailbox[];
extern const char directoryask_sql_domain[];
extern const char directoryask_sql_group[];
extern const char directoryask_sql_networks[];
extern const char directoryask_sql_gateways[];
extern const char directoryask_sql_whole[];

bool directoryask_domain(struct question *q, struct lookup *l,
			 const struct fs_settings *s);
bool directoryask_gateways(struct question *q, struct lookup *l,
			   const struct fs_settings *s);
bool directoryask_group(struct question *q, struct lookup *l,
			const struct fs_settings *s);
bool directoryask_user(struct question *q, struct lookup *l,
		       const struct fs_settings *s);

#endif
