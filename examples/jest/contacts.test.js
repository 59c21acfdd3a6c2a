// Tests of a program that uses contacts: here the program is a line or two in each test.
//
//     npm install --save-dev contactd jest && npx jest
const { join } = require('node:path')
const { contactd, contactdClock } = require('contactd/jest')

const contact = { givenName: 'Ann' }
const listed = async (user) => (await (await user.call('GET', '/me/contacts')).json()).value.length

test('each test has a mailbox of its own', async () => {
  const user = contactd()
  expect(await listed(user)).toBe(0)
  expect((await user.call('POST', '/me/contacts', contact)).status).toBe(201)
  expect(await listed(user)).toBe(1)
})

test('and so has this one', async () => {
  expect(await listed(contactd())).toBe(0)
})

test('a throttle is met', async () => {
  const user = contactd()
  await user.fault({ match: { method: 'POST' }, times: 2, answer: { status: 429, retryAfter: 0 } })
  while ((await user.call('POST', '/me/contacts', contact)).status === 429);
  expect((await user.requests({ method: 'POST' })).map((request) => request.status)).toEqual([429, 429, 201])
})

test('a lost acknowledgement doubles a create that has no key', async () => {
  const user = contactd()
  for (const [headers, stored] of [[{}, 2], [{ 'Idempotency-Key': 'one' }, 3]]) {
    await user.fault({ match: { method: 'POST' }, when: 'after', connection: 'close' })
    await expect(user.call('POST', '/me/contacts', contact, headers)).rejects.toThrow()
    expect((await user.call('POST', '/me/contacts', contact, headers)).status).toBe(201)
    expect(await listed(user)).toBe(stored)
  }
})

test('the trash is purged after thirty days, and the same requests have the same answers', async () => {
  const user = await contactdClock()
  const made = await (await user.call('POST', '/me/contacts', contact)).json()
  expect(made.createdDateTime).toBe('2026-01-01T00:00:00Z')
  await user.assertGolden(join(__dirname, 'golden.json'))
  await user.call('DELETE', `/me/contacts/${made.id}`)
  expect((await user.server.advance('P31D')).done.purged).toBe(1)
})
