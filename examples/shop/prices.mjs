// SPDX-License-Identifier: MIT
// The price service: answers every request with the prices. The shop depends on it.
import { createServer } from 'node:http';
import { ready } from 'holdfast';

const PRICES = { tea: 3.2, coffee: 4.1 };

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(PRICES));
});
server.listen(Number(process.env.PRICES_PORT ?? 8081), '127.0.0.1', () => {
  console.log(`prices: listening on port ${server.address().port}`);
  ready();
});
