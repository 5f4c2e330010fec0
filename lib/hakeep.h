/*
 * hakeep: a rejoin loses no row without a word.
 *
 * Layer domain.  The salvage of hasalvage.h as a step of the journal, with what
 * came of it in the journal and in an alert.
 */
#ifndef HAKEEP_H
#define HAKEEP_H

#include "hajournal.h"

/*
 * 1: `directory` may be rewritten, what only it had is in files (or is not
 * wanted: `rejoin_salvage` is 0).  0: it did not give its rows, and must be
 * kept.  -1: the other side or the disk is in the way; try again.
 */
int ha_keep_rows(struct ha_journal *j, const char *directory, struct verr *e);

/* To whoever has the rows that `directory` may lack: the peer's server. */
struct db *ha_keep_peer(struct verr *e);

#endif
