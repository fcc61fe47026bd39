// LiveKit's own server SDK makes a token: INPUT (JSON), API_KEY, API_SECRET in, the token out.
import { AccessToken } from 'livekit-server-sdk';
import { RoomConfiguration } from '@livekit/protocol';

const { INPUT, API_KEY, API_SECRET } = process.env;
const { identity, name, ttlSeconds, video, roomConfig } = JSON.parse(INPUT);
const token = new AccessToken(API_KEY, API_SECRET, { identity, name, ttl: ttlSeconds });
token.addGrant(video);
token.roomConfig = RoomConfiguration.fromJson(roomConfig);
console.log(JSON.stringify({ token: await token.toJwt() }));
