/*
 * actor: who runs this program, and from where, for the audit.
 *
 * Layer text.  The name is that of the person, also behind sudo(8) and su(1):
 * SUDO_USER when root runs the program, else the login user that the kernel
 * remembers for the session (/proc/self/loginuid), else the user of the
 * process.  The origin is the host, and the address that the session came from
 * (SSH_CONNECTION, or the terminal's line of utmp) or the unit that runs it.
 * Only root could lie about the first two; the origin is what the environment
 * says.
 */
#ifndef ACTOR_H
#define ACTOR_H

#include "buf.h"

/* "os:alice" */
void actor_name(struct buf *out);
/* "pbx1", "pbx1 from 192.0.2.7", "pbx1 by billing-sync.service" */
void actor_origin(struct buf *out);

#endif
