/*
 * peer-ask: a signed question of a node to its peer, on standard output.
 *
 * usage: peer-ask KEY-FILE QUESTION SECONDS
 *
 * SECONDS is added to the clock that the question is signed with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "peerwire.h"

int
main(int argc, char **argv)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	unsigned char key[SECRET_KEY];
	char nonce[PEER_NONCE];
	int64_t now_ms = (int64_t)time(NULL) * 1000;

	if (argc != 4)
		return 64;
	now_ms += strtoll(argv[3], NULL, 10) * 1000;
	if (secret_read_key(key, argv[1], &e) == -1 ||
	    peer_nonce(nonce, &e) == -1 ||
	    peer_write(&b, key, PEER_REQUEST, argv[2], now_ms, nonce, "{}",
		       &e) == -1) {
		fprintf(stderr, "peer-ask: %s\n", e.msg);
		return 71;
	}
	fputs(b.data, stdout);
	buf_release(&b);
	return 0;
}
