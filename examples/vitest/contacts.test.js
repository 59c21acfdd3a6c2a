// Tests of a program that uses contacts: here the program is a line or two in each test.
//
//     npm install --save-dev contactd vitest && npx vitest run
import { fileURLToPath } from 'node:url'
import { expect, test } from 'contactd/vitest'

const contact = { givenName: 'Ann' }
const listed = async (user) => (await (await user.call('GET', '/me/contacts')).json()).value.length

test('each test has a mailbox of its own', async ({ contactd }) => {
  expect(await listed(contactd)).toBe(0)
  expect((await contactd.call('POST', '/me/contacts', contact)).status).toBe(201)
  expect(await listed(contactd)).toBe(1)
})

test('and so has this one', async ({ contactd }) => {
  expect(await listed(contactd)).toBe(0)
})

test('a throttle is met', async ({ contactd }) => {
  await contactd.fault({ match: { method: 'POST' }, times: 2, answer: { status: 429, retryAfter: 0 } })
  while ((await contactd.call('POST', '/me/contacts', contact)).status === 429);
  expect((await contactd.requests({ method: 'POST' })).map((request) => request.status)).toEqual([429, 429, 201])
})

test('a lost acknowledgement doubles a create that has no key', async ({ contactd }) => {
  for (const [headers, stored] of [[{}, 2], [{ 'Idempotency-Key': 'one' }, 3]]) {
    await contactd.fault({ match: { method: 'POST' }, when: 'after', connection: 'close' })
    await expect(contactd.call('POST', '/me/contacts', contact, headers)).rejects.toThrow()
    expect((await contactd.call('POST', '/me/contacts', contact, headers)).status).toBe(201)
    expect(await listed(contactd)).toBe(stored)
  }
})

test('the trash is purged after thirty days', async ({ contactdClock: user }) => {
  const made = await (await user.call('POST', '/me/contacts', contact)).json()
  expect(made.createdDateTime).toBe('2026-01-01T00:00:00Z')
  await user.call('DELETE', `/me/contacts/${made.id}`)
  expect((await user.server.advance('P31D')).done.purged).toBe(1)
})

test('the same requests have the same answers', async ({ contactdClock: user }) => {
  await user.call('POST', '/me/contacts', contact)
  await user.call('GET', '/me/contacts?$select=givenName')
  await user.assertGolden(fileURLToPath(new URL('golden.json', import.meta.url)))
})
