/*
 * hadiagnose: what there was to see when a fault came.
 *
 * Layer domain.  One small file for each fault in the directory "diagnostics"
 * of `failover_state_dir`, TIME-EVENT.txt, mode 0640: the verdict of
 * voip-healthd, keepalived's last word and the track files, the end of the
 * journal, the processes of PostgreSQL and their states, pg_controldata, and
 * the room on its disk.  No settings and no connection strings, so no secrets.
 * At most diagnostics_kept files, the oldest goes first.
 */
#ifndef HADIAGNOSE_H
#define HADIAGNOSE_H

#include <stddef.h>

#include "verr.h"

/* `path` gets the name of the file. */
int ha_diagnose(const char *event, char *path, size_t size, struct verr *e);

#endif
