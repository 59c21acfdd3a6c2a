// tsdav, unchanged, against a server: discover, create, change and delete in both directions, sync by token, an invalid token.
import assert from 'node:assert/strict';
import { createDAVClient } from 'tsdav';

const [origin, user, password] = process.argv.slice(2);
const graph = async (method, path, body) => {
  const headers = { Authorization: `Bearer ${password}`, 'Content-Type': 'application/json' };
  const answer = await fetch(`${origin}/v1.0/me/${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? undefined : answer.json();
};
const card = (uid, name) => `BEGIN:VCARD\r\nVERSION:3.0\r\nUID:${uid}\r\nFN:${name}\r\nN:${name};;;;\r\nX-ODD:1\r\nEND:VCARD\r\n`;

const client = await createDAVClient({
  serverUrl: origin,
  credentials: { username: user, password },
  authMethod: 'Basic',
  defaultAccountType: 'carddav',
});
const [book] = await client.fetchAddressBooks();
assert.equal(book.displayName, 'Contacts');
assert.equal(new URL(book.url).pathname, `/dav/addressbooks/${user}/contacts/`);
assert.equal(typeof book.ctag, 'string');

const created = await client.createVCard({ addressBook: book, filename: 'ada.vcf', vCardString: card('ada', 'Ada') });
assert.equal(created.status, 201);
let cards = await client.fetchVCards({ addressBook: book });
assert.equal(cards.length, 1);
// The library trims cards.
assert.equal(cards[0].data.trim(), card('ada', 'Ada').trim());
assert.equal(cards[0].etag, created.headers.get('etag'));

const sync = async (token) => {
  const answers = await client.syncCollection({
    url: book.url,
    props: { 'd:getetag': {} },
    syncLevel: 1,
    syncToken: token,
  });
  const hrefs = answers.filter((answer) => answer.href).map((answer) => [answer.href, answer.status]);
  return { hrefs, token: answers[0]?.raw?.multistatus?.syncToken };
};
const initial = await sync();
assert.equal(initial.hrefs.length, 1);
assert.match(initial.token, /^data:,/);

// After a change through Graph, the line that Graph does not know stays.
const [contact] = (await graph('GET', 'contacts')).value;
assert.equal(contact.displayName, 'Ada');
await graph('PATCH', `contacts/${contact.id}`, { jobTitle: 'Countess' });
const changed = await sync(initial.token);
assert.equal(changed.hrefs.length, 1);
const stale = await client.updateVCard({ vCard: { ...cards[0], data: card('ada', 'Stale') } });
assert.equal(stale.status, 412);
[cards[0]] = await client.fetchVCards({ addressBook: book });
assert.match(cards[0].data, /TITLE:Countess\r\n/);
assert.match(cards[0].data, /X-ODD:1\r\n/);
const updated = await client.updateVCard({ vCard: { ...cards[0], data: cards[0].data.replace('Countess', 'Writer') } });
assert.equal(updated.status, 204);
assert.equal((await graph('GET', `contacts/${contact.id}`)).jobTitle, 'Writer');

[cards[0]] = await client.fetchVCards({ addressBook: book });
assert.equal((await client.deleteVCard({ vCard: cards[0] })).status, 204);
assert.deepEqual((await graph('GET', 'contacts')).value, []);
await assert.rejects(async () => {
  const [answer] = await client.syncCollection({ url: book.url, props: { 'd:getetag': {} }, syncLevel: 1, syncToken: 'data:,no' });
  assert(answer.ok, `${answer.status}`);
}, /403|400/);
console.log('tsdav is done');
