/*
 * kamailioconf: the file that etc/kamailio/kamailio.cfg includes.
 *
 * Layer domain (needs conf).  kamailio.cfg is the same everywhere; each word
 * of it that differs between sites is a row of the table in kamailioconf.c:
 * the word, the setting, the form (a number that the parser reads, text inside
 * strings and addresses, a switch).  A value is refused (VERR_CONFIG) unless
 * all its characters are of its row's alphabet, because Kamailio's
 * preprocessor knows no quoting.  The file holds no secret: libpq reads the
 * password from a password file.
 *
 * Source: Kamailio core cookbook, #!define and #!substdef.
 */
#ifndef KAMAILIOCONF_H
#define KAMAILIOCONF_H

#include "buf.h"
#include "verr.h"

/* After conf_load(). */
int kamailioconf_write(struct buf *out, struct verr *e);

#endif
