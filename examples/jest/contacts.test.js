// Tests of a program that uses contacts. The program is one or two lines in each test.
//
//     npm install --save-dev contactd jest && npx jest
const { join } = require('node:path')
const { contactd, contactdClock } = require('contactd/jest')

const contact = { givenName: 'Ann' }
const contactCount = async (user) => (await (await user.call('GET', '/me/contacts')).json()).value.length

test('each test has a separate mailbox', async () => {
  const user = contactd()
  expect(await contactCount(user)).toBe(0)
  expect((await user.call('POST', '/me/contacts', contact)).status).toBe(201)
  expect(await contactCount(user)).toBe(1)
})

test('another test does not see its contact', async () => {
  expect(await contactCount(contactd())).toBe(0)
})

test('a throttled create is sent again', async () => {
  const user = contactd()
  await user.fault({ match: { method: 'POST' }, times: 2, answer: { status: 429, retryAfter: 0 } })
  while ((await user.call('POST', '/me/contacts', contact)).status === 429);
  expect((await user.requests({ method: 'POST' })).map((request) => request.status)).toEqual([429, 429, 201])
})

test('a lost response leads to a second contact, unless the create has a key', async () => {
  const user = contactd()
  for (const [headers, stored] of [[{}, 2], [{ 'Idempotency-Key': 'one' }, 3]]) {
    await user.fault({ match: { method: 'POST' }, when: 'after', connection: 'close' })
    await expect(user.call('POST', '/me/contacts', contact, headers)).rejects.toThrow()
    expect((await user.call('POST', '/me/contacts', contact, headers)).status).toBe(201)
    expect(await contactCount(user)).toBe(stored)
  }
})

test('the trash is purged after thirty days, and the same requests get the same responses', async () => {
  const user = await contactdClock()
  const created = await (await user.call('POST', '/me/contacts', contact)).json()
  expect(created.createdDateTime).toBe('2026-01-01T00:00:00Z')
  await user.assertGolden(join(__dirname, 'golden.json'))
  await user.call('DELETE', `/me/contacts/${created.id}`)
  expect((await user.server.advance('P31D')).done.purged).toBe(1)
})
