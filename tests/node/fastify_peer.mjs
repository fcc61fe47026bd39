// The peer that the design names: fastify with livekit-server-sdk. PORT, KEY, API_KEY, API_SECRET, LIVEKIT_URL, ENSURE in.
import { timingSafeEqual } from 'node:crypto';
import Fastify from 'fastify';
import { RoomAgentDispatch, RoomConfiguration } from '@livekit/protocol';
import { AccessToken, RoomServiceClient } from 'livekit-server-sdk';

const { PORT, KEY, API_KEY, API_SECRET, LIVEKIT_URL, ENSURE } = process.env;
const expected = Buffer.from(`Bearer ${KEY}`);
const rooms = new RoomServiceClient(LIVEKIT_URL.replace('ws', 'http'), API_KEY, API_SECRET);
const app = Fastify();
const text = { type: 'string', minLength: 1, maxLength: 256 };
const schema = { body: { type: 'object', required: ['userId', 'userName'], properties: { userId: text, userName: text } } };

app.post('/v1/meetings/:id/tokens', { schema }, async (request, reply) => {
  const given = Buffer.from(request.headers.authorization ?? '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send();
  const room = request.params.id;
  const metadata = JSON.stringify({ v: 1, meetingData: { id: room, name: room }, agentData: null });
  const agents = [new RoomAgentDispatch({ agentName: 'meetai' })];
  if (ENSURE === '1') await rooms.createRoom({ name: room, metadata, agents });
  const token = new AccessToken(API_KEY, API_SECRET, { identity: request.body.userId, name: request.body.userName, ttl: 600 });
  token.addGrant({ roomJoin: true, room, canPublish: true, canSubscribe: true, canPublishData: true });
  token.roomConfig = new RoomConfiguration({ metadata, agents });
  return reply.code(201).send({ serverUrl: LIVEKIT_URL, participantToken: await token.toJwt(), roomName: room });
});
await app.listen({ port: Number(PORT), host: '127.0.0.1' });
